"""Raw responses come in; standardized, rank-blended int8 descriptor blocks go out."""
