"""The names and shapes of tensors come in; the network that they belong to goes out."""
