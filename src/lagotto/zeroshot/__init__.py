"""Pictures, labels and a caption store come in; class probabilities with their evidence go out."""
