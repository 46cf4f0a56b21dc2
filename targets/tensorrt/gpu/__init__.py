"""The CUDA driver, and an engine that is loaded, run and measured."""
