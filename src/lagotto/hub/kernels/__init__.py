"""Descriptor blocks and query weights come in; sums and distances of all logits go out."""
