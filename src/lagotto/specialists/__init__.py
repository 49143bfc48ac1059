"""Layer 3: where the two flows meet: models found in a hub vote in zero-shot classification."""
