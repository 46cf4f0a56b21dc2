"""From a quantized network to regions of integer layers for the accelerator, and the rest for TVM on the host."""
