"""`lagotto hub ...` comes in; a hub made, filled, listed, verified or indexed goes out."""
