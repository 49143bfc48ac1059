"""A pickle of a stranger comes in; inert values that stand for its objects go out."""
