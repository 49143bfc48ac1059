"""Names on a model hub come in; verified local files go out."""
