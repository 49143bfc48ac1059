"""Temporary files come in, each with its owner in its name; those without one go out, removed."""
