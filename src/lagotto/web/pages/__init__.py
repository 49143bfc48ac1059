"""Addresses that people open come in; pages that work without JavaScript go out."""
