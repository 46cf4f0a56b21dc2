"""How a tensor lies in vectors: on the chip and, with the same bytes, in memory."""

from __future__ import annotations

import dataclasses

from targets.tvm_fpga.compiler.ir import Kind, Layer, Tensor
from targets.tvm_fpga.geometry import Geometry

#: The most that an instruction can say of runs: vectors each, bytes from one to the next, how many of them.
_RUN, _STEP, _RUNS = 15, 255, 1023


@dataclasses.dataclass(frozen=True)
class View:
    """Rows of a tensor on the chip.

    Attributes:
        base: vector of the first of them.
        first: which row of the tensor that is.
        rows: how many there are.
        pitch: vectors from row to row.
        pixel: vectors from position to position.
        columns: positions of a row.
    """

    base: int
    first: int
    rows: int
    pitch: int
    pixel: int
    columns: int

    def span(self, first: int, count: int) -> tuple[int, int]:
        """Vectors (from, to) of some of the tensor's rows, those that are here."""
        low, high = max(first, self.first), min(first + count, self.first + self.rows)
        return self.base + (low - self.first) * self.pitch, self.base + (max(low, high) - self.first) * self.pitch


def pitch(tensor: Tensor, geometry: Geometry) -> int:
    """Vectors of a row; whole beats, so that every row can be loaded and stored by itself."""
    beat = max(1, geometry.port // geometry.lanes)
    return -(-tensor.width * tensor.tiles(geometry.lanes) // beat) * beat


def plain(tensor: Tensor, geometry: Geometry, base: int = 0, rows: tuple[int, int] | None = None) -> View:
    """A tensor, or some of its rows (first, count), position by position."""
    first, count = rows or (0, tensor.height)
    return View(base, first, count, pitch(tensor, geometry), tensor.tiles(geometry.lanes), tensor.width)


def slice_tiles(layer: Layer, geometry: Geometry) -> int:
    """Vectors of a position that a layer writes, if those are not all; else 0."""
    return -(-layer.outputs // geometry.lanes) if layer.outputs < layer.out.channels else 0


def slice_beats(layer: Layer, geometry: Geometry) -> bool:
    """Whether what a layer writes of a position is whole beats, and begins with one."""
    bytes_ = slice_tiles(layer, geometry) * geometry.lanes
    return bytes_ % geometry.port == 0 and layer.at % geometry.port == 0


def made(layer: Layer, geometry: Geometry, base: int, rows: tuple[int, int]) -> View:
    """Rows of a layer's output in a buffer of its own: of a slice only the vectors that it writes."""
    tiles = slice_tiles(layer, geometry)
    if not tiles:
        return plain(layer.out, geometry, base, rows)
    return View(base, *rows, layer.out.width * tiles, tiles, layer.out.width)


def runs(layer: Layer, run: int, base: int = 0, rows: tuple[int, int] | None = None) -> View:
    """A layer's source, cut along its columns: one position for each of the output, ``run`` vectors of all taps."""
    first, count = rows or (0, layer.source.height)
    return View(base, first, count, layer.out.width * run, run, layer.out.width)


def run_of(layer: Layer, geometry: Geometry) -> int:
    """Vectors of a run, if cutting the input along its columns takes fewer tiles than taking it as it is; else 0."""
    columns, inputs, lanes = layer.kernel[1], layer.source.channels, geometry.lanes
    run = -(-columns * inputs // lanes)
    if layer.kind is not Kind.CONV or layer.dilation[1] != 1 or run >= columns * layer.source.tiles(lanes):
        return 0
    fits = run <= _RUN and layer.stride[1] * inputs <= _STEP and layer.out.width <= _RUNS
    return run if fits and raw_bytes(layer, run, geometry) <= geometry.raw else 0


def raw_bytes(layer: Layer, run: int, geometry: Geometry) -> int:
    """Bytes of a raw row that is cut into runs, padding included."""
    step = layer.stride[1] * layer.source.channels
    unit = max(geometry.lanes, geometry.port)
    return -(-((layer.out.width - 1) * step + run * geometry.lanes) // unit) * unit


def rows_needed(layer: Layer, first: int, count: int) -> tuple[int, int]:
    """Rows of the source (first, count) that some rows of the output see; at least one."""
    top = first * layer.stride[0] - layer.padding[0]
    end = top + (count - 1) * layer.stride[0] + (layer.kernel[0] - 1) * layer.dilation[0] + 1
    low = min(max(top, 0), layer.source.height - 1)
    return low, max(1, min(end, layer.source.height) - low)
