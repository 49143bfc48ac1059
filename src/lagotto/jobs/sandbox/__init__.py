"""A worker process comes in; it goes out without network, foreign files or dangerous calls."""
