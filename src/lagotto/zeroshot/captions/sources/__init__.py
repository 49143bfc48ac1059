"""Folders, tables, tars and annotation files come in; image-text pairs go out."""
