"""Nearest rows to query vectors: exact, or approximate on request."""
