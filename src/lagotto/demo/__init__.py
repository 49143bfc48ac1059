"""Layer 4: the bundled offline world and what `lagotto demo` does with it."""
