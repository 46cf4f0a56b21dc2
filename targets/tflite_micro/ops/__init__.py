"""Operators: what each may look like, and the kernel call that computes it."""
