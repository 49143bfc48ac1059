"""Tasks come in; each ends with its answer or a reason, computed in isolated workers."""
