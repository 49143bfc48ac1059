"""A file of Keras comes in; the configuration and the arrays that it holds go out."""
