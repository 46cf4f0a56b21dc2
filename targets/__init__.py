"""Backends: one folder per engine, each with four verbs (support, quantize, compile, runner)."""
