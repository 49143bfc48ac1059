"""Label lists of a hub come in; verdicts on them, borne out by references, go out and are kept."""
