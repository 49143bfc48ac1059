"""Models and probe pictures come in; ranked outputs with evidence go out."""
