"""Layer 1: image | text → unit embedding. One file a framework; see ADDING.md."""
