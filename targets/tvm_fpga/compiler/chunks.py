"""Weights in portions that are loaded and used together, and the rings that they are loaded into."""

from __future__ import annotations

import dataclasses

import numpy as np

from profiles.errors import UnsupportedError
from profiles.runner import Array
from targets.tvm_fpga.compiler.ir import Kind, Layer
from targets.tvm_fpga.compiler.pack import parameter_entries, weight_tiles
from targets.tvm_fpga.geometry import Geometry


@dataclasses.dataclass(frozen=True)
class Piece:
    """Tiles of inputs (first, count) of a chunk, and their weights: rows x lanes."""

    tile: int
    tiles: int
    rows: Array


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Groups of outputs (first, count), and their weights.

    ``entries`` are parameters that are loaded with it, ``entry`` is where its own begin among those loaded last. More
    than one piece: the weights do not fit at once, and sums are kept from piece to piece.
    """

    group: int
    groups: int
    pieces: tuple[Piece, ...]
    entries: Array | None
    entry: int


@dataclasses.dataclass
class Ring:
    """A memory that is filled round and round."""

    depth: int
    at: int = 0

    def take(self, count: int) -> int:
        """Where the next so many entries go."""
        start = self.at if self.at + count <= self.depth else 0
        self.at = start + count
        return start


def chunks(layer: Layer, geometry: Geometry, parts: int, *, run: int = 0, first: bool = False) -> list[Chunk]:
    """A layer's weights in the order in which they are used, each a ``parts``-th of the memory or one group at least.

    One group alone if it is the ``first`` layer, where everything waits for weights. Parameters come all at once, if
    they take no more than a quarter of their memory.

    Raises:
        UnsupportedError: all taps of one tile of inputs do not fit into the weight memory.
    """
    tiles, entries = weight_tiles(layer, geometry, run=run), parameter_entries(layer, geometry)
    rows = tiles.shape[1] * tiles.shape[3]
    if rows > geometry.weights:
        seen, allowed = f"{rows} rows for the taps of one tile", f"{geometry.weights}"
        raise UnsupportedError(f"the weights of '{layer.name}'", seen=seen, allowed=allowed)
    at_once = len(entries) <= geometry.parameters // 4
    found: list[Chunk] = []
    group = 0
    while group < len(tiles):
        low, high = _used(layer, tiles[group])
        most = min(geometry.weights // parts // (rows * (high - low)), geometry.parameters // 2)
        count = _alike(layer, tiles[group : group + (1 if first and not found else max(1, most))], (low, high))
        pieces = _pieces(tiles[group : group + count, :, low:high], low, geometry)
        new = (entries if not found else None) if at_once else entries[group : group + count]
        found.append(Chunk(group, count, pieces, new, group if at_once else 0))
        group += count
    return found


def _alike(layer: Layer, tiles: Array, used: tuple[int, int]) -> int:
    """How many groups use the same tiles of inputs as the first."""
    return next((number for number, each in enumerate(tiles) if _used(layer, each) != used), len(tiles))


def _used(layer: Layer, tiles: Array) -> tuple[int, int]:
    """Tiles of inputs (from, to) of one group outside of which all weights are zero."""
    if layer.kind is not Kind.CONV:
        return 0, 1
    used = np.flatnonzero(tiles.any(axis=(0, 2, 3)))
    return (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)


def _pieces(tiles: Array, first: int, geometry: Geometry) -> tuple[Piece, ...]:
    """One, if it fits; else parts of the inputs that take half of the memory at most, if one tile's taps allow that."""
    rows, count = tiles.shape[1] * tiles.shape[3], tiles.shape[2]
    fits = len(tiles) * rows * count <= geometry.weights
    most = count if fits else max(1, geometry.weights // 2 // rows)
    return tuple(
        Piece(first + at, min(most, count - at), _beats(tiles[:, :, at : at + most], geometry))
        for at in range(0, count, most)
    )


def _beats(tiles: Array, geometry: Geometry) -> Array:
    """Rows one after the other, up to a whole beat of the port."""
    rows = tiles.reshape(-1, geometry.lanes)
    beat = max(1, geometry.port // geometry.lanes)
    return np.pad(rows, ((0, -len(rows) % beat), (0, 0)))
