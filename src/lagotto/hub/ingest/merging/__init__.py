"""Hubs of the same probes and encoder come in; one hub with the models of all goes out."""
