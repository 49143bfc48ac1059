"""A short name of an encoder comes in; its repository, precision, size and licence go out."""
