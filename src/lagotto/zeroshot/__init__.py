"""Layer 2: zero-shot classification with retrieved captions (X-MoRe)."""
