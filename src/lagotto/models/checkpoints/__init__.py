"""A checkpoint comes in; its tensors, labels and settings go out, and nothing of it is run."""
