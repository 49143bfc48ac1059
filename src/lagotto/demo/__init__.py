"""Nothing comes in; a small bundled world, probed, searched and scored, goes out."""
