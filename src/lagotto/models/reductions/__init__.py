"""The output of a detector or a segmenter comes in; one value a class goes out."""
