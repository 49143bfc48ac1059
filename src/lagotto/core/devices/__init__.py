"""A device and a runtime come in; where a network runs, and batches that fit there, go out."""
