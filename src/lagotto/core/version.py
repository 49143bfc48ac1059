"""The version of Lagotto, for any room that tells it."""

__version__ = "0.1.0"
