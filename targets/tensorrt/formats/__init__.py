"""Graphs in other number formats and batch sizes: int8, fp16, fp8, int4, 2:4 sparse weights."""
