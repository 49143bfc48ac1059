"""Folders and rows as people have them come in; what to read, and a count of the rest, go out."""
