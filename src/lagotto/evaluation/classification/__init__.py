"""Labelled pictures come in; the accuracy of every way to classify them goes out."""
