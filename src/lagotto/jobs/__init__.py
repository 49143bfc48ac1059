"""Tasks come in; the answer of each, or a reason, goes out, computed in isolated workers."""
