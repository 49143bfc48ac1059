"""Layer 1: pictures → logits. One file a framework; see ADDING.md."""
