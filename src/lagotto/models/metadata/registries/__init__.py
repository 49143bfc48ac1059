"""A folder of a model registry comes in; its model file and what is said of it go out."""
