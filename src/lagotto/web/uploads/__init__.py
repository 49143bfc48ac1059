"""Pictures of strangers come in; plain pixels, decoded by a worker and kept by digest, go out."""
