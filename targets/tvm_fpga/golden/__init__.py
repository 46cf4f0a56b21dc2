"""The specification: what every instruction computes, in NumPy, without time."""
