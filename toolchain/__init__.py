"""From a model and an ``edge.toml`` to measured, verified bundles."""

__version__ = "0.1.0"
