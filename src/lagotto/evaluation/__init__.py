"""Layer 3: results and truth → numbers."""
