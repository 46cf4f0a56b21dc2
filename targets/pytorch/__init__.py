"""PyTorch itself, as the baseline that every other engine is compared with."""
