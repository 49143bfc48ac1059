"""Pictures of a user come in; a sample, and batches in the form of each network, go out."""
