"""A model file comes in; what the files beside it say of its input and labels goes out."""
