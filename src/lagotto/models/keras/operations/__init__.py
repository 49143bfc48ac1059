"""An operation on tensors, with all its arguments, comes in; the same operator of ONNX goes out."""
