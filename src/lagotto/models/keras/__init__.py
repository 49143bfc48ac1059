"""A model of the Keras family comes in; the same network as ONNX goes out, without Keras."""
