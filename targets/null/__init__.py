"""The null target: the whole pipeline with nothing installed."""
