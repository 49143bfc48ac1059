"""Bytes of a model file come in; its graph, tensors and logits go out, without running it."""
