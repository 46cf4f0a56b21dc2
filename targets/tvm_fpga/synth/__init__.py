"""From Verilog to a device: synthesis, placement and routing with packages from PyPI, or a script for Vivado."""
