"""Splits that depend on contents and seed only, not on the order of rows or files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from profiles.runner import Array


def content_key(data: bytes, seed: int) -> bytes:
    """16 bytes that order samples: a keyed hash of the content (BLAKE2b, RFC 7693)."""
    return hashlib.blake2b(data, digest_size=16, key=seed.to_bytes(8, "little", signed=True)).digest()


def content_keys(items: Iterable[bytes], seed: int) -> list[bytes]:
    """The key of each item, in order."""
    return [content_key(item, seed) for item in items]


def ordered(keys: Sequence[bytes], labels: Array | None, rows: Iterable[int]) -> Array:
    """``rows`` sorted by key, and by label where contents are equal."""
    rank = (lambda row: (keys[row], 0)) if labels is None else (lambda row: (keys[row], int(labels[row])))
    return np.array(sorted(rows, key=rank), np.int64)


def choose(rows: Array, labels: Array | None, count: int) -> Array:
    """The first ``count`` of ``rows`` with classes as even as they can be, in the order of ``rows``.

    Each class gives in turn until ``count`` is reached; a class that is used up is passed over.

    Args:
        rows: in the order of :func:`ordered`.
        labels: of the whole source, or None: then simply the first ``count``.
    """
    if labels is None or len(rows) <= count:
        return rows[:count]
    mine = labels[rows]
    turn = np.empty(len(rows), np.int64)
    for label in np.unique(mine):
        places = np.flatnonzero(mine == label)
        turn[places] = np.arange(len(places))
    picked = np.lexsort((mine, turn))[:count]
    return rows[np.sort(picked)]


def split_test(keys: Sequence[bytes], labels: Array | None, fraction: float) -> Array:
    """Which rows test: in each class the share ``fraction`` of its distinct contents with the lowest keys.

    A class with two or more distinct contents gives at least one, and keeps at least one. Rows with
    the same content always land together, whatever their labels.

    Returns:
        A boolean array over all rows.
    """
    groups = np.zeros(len(keys), np.int64) if labels is None else labels
    chosen: set[bytes] = set()
    for label in np.unique(groups):
        mine = sorted({keys[row] for row in np.flatnonzero(groups == label).tolist()})
        if len(mine) > 1:
            chosen.update(mine[: min(max(round(len(mine) * fraction), 1), len(mine) - 1)])
    return np.array([key in chosen for key in keys], bool)
