"""Class labels come in; prompts, and how far captions shift them, go out."""
