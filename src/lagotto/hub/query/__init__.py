"""A text, pictures or a logit come in; probe weights and expected values go out."""
