"""Compiling engines, reading what the compiler planned, and its messages in our words."""
