"""Labels and words as people write them come in; one form to read and one to compare go out."""
