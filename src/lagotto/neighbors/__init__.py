"""Embeddings come in; the nearest rows of each query, exact or approximate, go out."""
