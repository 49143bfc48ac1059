"""Queries with known answers come in; the accuracy of every search rule goes out."""
