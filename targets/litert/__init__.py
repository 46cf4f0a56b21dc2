"""LiteRT (formerly TensorFlow Lite) on the CPU: fp32, fp16 weights, and int8 by ai-edge-quantizer."""
