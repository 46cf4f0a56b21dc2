"""The Verilog: sources with their parameters, and its simulation."""
