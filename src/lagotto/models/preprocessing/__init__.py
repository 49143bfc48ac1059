"""A model without a description comes in; the feeding that makes its answers plausible goes out."""
