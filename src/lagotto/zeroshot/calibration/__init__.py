"""A caption store comes in; how far to trust its captions goes out."""
