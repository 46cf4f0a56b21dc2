"""Parts of a layer's output that one COMPUTE makes: rows and columns whose sums fit into the accumulators."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from targets.tvm_fpga.compiler.ir import Layer
from targets.tvm_fpga.compiler.pack import mode_of
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.isa import Mode

#: The most rows or columns that an instruction can count.
MOST = 1023


@dataclasses.dataclass(frozen=True)
class Block:
    """Positions of an output: rows and columns, first and count."""

    row: int
    rows: int
    column: int
    columns: int


def blocks(layer: Layer, geometry: Geometry, rows: tuple[int, int], *, run: int = 0, start: int = 0) -> list[Block]:
    """Blocks of some rows (first, count) of the output, from top to bottom.

    ``run`` as in :func:`targets.tvm_fpga.compiler.layout.run_of`; with ``start`` the first block has about so many
    positions, the next ones twice as many each, so that work begins before all of the input is there.
    """
    widths = list(_even(layer.out.width, _columns(layer, geometry, run)))
    most = _rows(layer, geometry, widths[0][1], run)
    found, row, end = [], rows[0], rows[0] + rows[1]
    grows = max(1, start // layer.out.width) if start else most
    while row < end:
        count = min(most, grows, end - row)
        found += [Block(row, count, column, columns) for column, columns in widths]
        row, grows = row + count, 2 * grows
    return found


def complete(layer: Layer, geometry: Geometry, run: int) -> bool:
    """Whether every sum is complete after one tile, so that nothing is accumulated."""
    mode = mode_of(layer, geometry)
    if mode is Mode.WINDOW:
        return geometry.passes == 1
    taps = layer.kernel[0] * layer.kernel[1]
    if mode is Mode.TAPS:
        return taps == 1
    return (layer.kernel[0] * run if run else taps * layer.source.tiles(geometry.lanes)) == 1


def rows_per_block(layer: Layer, geometry: Geometry, run: int = 0) -> int:
    """Rows that a block has at most."""
    return _rows(layer, geometry, next(_even(layer.out.width, _columns(layer, geometry, run)))[1], run)


def _columns(layer: Layer, geometry: Geometry, run: int) -> int:
    most = MOST if complete(layer, geometry, run) else min(MOST, geometry.accumulators)
    if mode_of(layer, geometry) is Mode.WINDOW:
        most = min(most, (geometry.line - 3) // layer.stride[1] + 1)
    return most


def _rows(layer: Layer, geometry: Geometry, columns: int, run: int) -> int:
    most = MOST if complete(layer, geometry, run) else max(1, geometry.accumulators // columns)
    if mode_of(layer, geometry) is Mode.WINDOW:
        most = min(most, (MOST - 3) // layer.stride[0] + 1)
    return most


def _even(total: int, most: int) -> Iterator[tuple[int, int]]:
    """Parts (first, count) of about the same size, the largest first."""
    parts, first = -(-total // most), 0
    for part in range(parts):
        count = -(-(total - first) // (parts - part))
        yield first, count
        first += count
