"""Responses on a share of the probes come in; guarded predictions on the rest go out."""
