"""A file of a form that is not read comes in; its format, the reason and a way out go out."""
