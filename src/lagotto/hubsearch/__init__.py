"""Layer 2: hub search. ProbeSet → Responses → Descriptors → Hub → Hits."""
