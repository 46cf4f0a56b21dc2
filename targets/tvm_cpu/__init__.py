"""TVM for plain CPUs: kernels compiled ahead of time, run without TVM on the device."""
