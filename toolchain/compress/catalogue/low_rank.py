"""Methods of the family; see ``toolchain/compress/catalogue/method.py``."""

from __future__ import annotations

from toolchain.compress.catalogue.method import Method

METHODS: tuple[Method, ...] = ()
