"""Pictures come in; a fixed probe set with embeddings and a pixel cache go out."""
