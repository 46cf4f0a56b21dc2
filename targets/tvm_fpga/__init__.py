"""FPGA-like accelerators: an int8 array in RTL, compiled for through TVM, measured by the cycle."""
