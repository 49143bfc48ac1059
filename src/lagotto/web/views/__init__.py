"""A hub and what is asked of it come in; what a page shows of them, in words and addresses, goes out."""
