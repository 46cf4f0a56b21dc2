"""What the performance claims are made from. Never run by the tests: timing needs a quiet machine and time."""
