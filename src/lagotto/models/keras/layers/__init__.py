"""A layer with its settings and weights comes in; the ONNX operators that compute it go out."""
