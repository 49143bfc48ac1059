"""Hits or described models come in; pictures and pages that show the evidence go out."""
