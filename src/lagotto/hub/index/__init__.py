"""Descriptor blocks come in; one searchable table of all logits goes out."""
