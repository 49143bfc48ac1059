"""A hub, or the place of a published one, comes in; a verified copy of it elsewhere goes out."""
