"""Image-text pairs come in; an append-only store of embeddings goes out."""
