"""The text of one form of name list comes in; names, and the numbers it gives them, go out."""
