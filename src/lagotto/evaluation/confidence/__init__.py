"""A hub and queries with known answers come in; how far the confidence of hits holds goes out."""
