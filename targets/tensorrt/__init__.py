"""TensorRT: engines for NVIDIA GPUs, compiled ahead of time where that is possible, on the device where not."""
