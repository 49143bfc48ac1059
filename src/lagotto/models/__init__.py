"""A model file comes in; its logits on pictures go out, whatever framework made it."""
