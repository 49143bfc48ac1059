"""Requests of anybody come in; those that are allowed go out to the application."""
