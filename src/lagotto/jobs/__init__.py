"""Layer 1: a Runner maps tasks to values or recorded failures."""
