"""Pictures come in; a probe set that covers many concepts goes out, with what it shows."""
