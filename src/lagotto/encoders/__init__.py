"""Pictures and texts come in; unit embeddings in one common space go out."""
