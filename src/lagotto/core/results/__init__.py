"""Fields of results come in; equality, JSON, data frames and HTML for notebooks go out."""
