"""Names and outputs come in; proposed names, audits, coverage and duplicates go out."""
