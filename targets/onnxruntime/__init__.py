"""ONNX Runtime on the CPU: fp32, fp16, and int8 as QDQ graphs with unsigned activations on x86."""
