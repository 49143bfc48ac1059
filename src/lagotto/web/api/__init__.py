"""Requests of scripts come in; the JSON that the commands print goes out."""
