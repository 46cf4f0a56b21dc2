"""The steps of a build, each with declared inputs and a content hash: what has not changed comes from the cache."""
