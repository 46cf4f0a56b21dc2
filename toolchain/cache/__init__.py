"""The cache of pipeline steps: a step whose inputs have not changed is not done again.

A step's key is the SHA-256 of its name, its version and everything that it depends on; under that key
lies a folder with the step's files. ``keys.py`` makes keys, ``entry.py`` says what an entry on disk is
and checks it, ``staging.py`` has the folders that work is done in, ``eviction.py`` keeps the size
below the limit, ``store.py`` puts them together, and ``location.py`` finds the place.
"""

from toolchain.cache.keys import file_digest, folder_digest, source_digest, step_key
from toolchain.cache.location import open_cache
from toolchain.cache.store import Cache, CachedStep

__all__ = [
    "Cache",
    "CachedStep",
    "file_digest",
    "folder_digest",
    "open_cache",
    "source_digest",
    "step_key",
]
