"""Temporary files come in; each has its owner in its name, and those without one go out, removed."""
