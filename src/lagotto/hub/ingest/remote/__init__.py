"""Names of models elsewhere come in; their listings and verified files go out."""
