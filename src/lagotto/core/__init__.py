"""Plain data, bytes and paths come in; checked values that every room shares go out."""
