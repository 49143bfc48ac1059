"""Pictures, labels and a vocabulary come in; how likely none of the labels fits goes out."""
