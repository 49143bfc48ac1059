"""Predictions or rankings and the truth come in; accuracies with intervals go out."""
