"""Types of the library's results come in; the types of all JSON answers go out."""
