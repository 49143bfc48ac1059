"""A model file of one framework comes in; a classifier with the common interface goes out."""
