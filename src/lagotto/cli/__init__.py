"""Command lines come in; tables, JSON and exit codes go out."""
