"""Hits of a concept come in; precision, quality and concept probability go out."""
