"""The search for the fastest placement of Q/DQ pairs."""
