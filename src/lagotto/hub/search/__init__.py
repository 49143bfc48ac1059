"""A query vector and a logit index come in; ranked hits with their scores go out."""
