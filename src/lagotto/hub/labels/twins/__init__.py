"""Believed labelled outputs come in; the outputs of other models that recognize the same go out."""
