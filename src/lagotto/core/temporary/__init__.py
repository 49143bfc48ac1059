"""Temporary files and open things come in; what has no owner any more goes out: removed, closed."""
