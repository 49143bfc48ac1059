"""A copy of a published hub comes in; where it is from, and what it may be used for, goes out."""
