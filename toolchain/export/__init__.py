"""From a torch module to ONNX and TFLite with a parity check, and from foreign model files to the same form."""
