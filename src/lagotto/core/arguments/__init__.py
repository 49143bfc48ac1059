"""Arguments as callers write them come in; tuples of one type, or one-line errors, go out."""
