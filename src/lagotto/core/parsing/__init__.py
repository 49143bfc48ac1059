"""Bytes that nobody vouches for come in; the few facts needed go out, within bounds."""
