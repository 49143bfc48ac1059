"""A terminal or a log file comes in; progress, clean stops, completion and a first page go out."""
