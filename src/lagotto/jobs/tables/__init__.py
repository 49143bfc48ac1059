"""Tables of strangers come in; their rows go out, parsed by a worker within limits."""
