"""Records, responses and manifests come in; files that survive a kill go out, and back."""
