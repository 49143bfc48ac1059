"""A hub and what is asked of it come in; the values that a page shows go out."""
