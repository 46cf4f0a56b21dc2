"""Structured pruning: whole channels go, so every engine gains."""
