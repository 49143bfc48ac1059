"""An encoder comes in; common nouns, the background of every concept, go out with embeddings."""
