"""Labels, pictures and a hub come in; votes of its models that know the labels go out."""
