"""Loops that a CPU likes, for everything that sums products. Runs in the compiler's own process.

One template for convolutions and products of matrices: a tile of the output, some vectors of the last axis times some
elements of the axis before it, is held in registers while the sums run over it. Element-wise operators behind it are
computed on the tile. The order in which a sum is added up is that of the operator, whatever the tile.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

#: Bytes of weights that stay in a core's own cache beside the values; a Cortex-A76 has 512 KiB there.
_CACHE = 1 << 18


@dataclasses.dataclass(frozen=True)
class Registers:
    """Vector registers: 32-bit numbers in one of them, and how many hold sums; the rest holds operands."""

    lanes: int
    sums: int


@dataclasses.dataclass(frozen=True)
class Tile:
    """Elements of the output's last axis, and of the axis before it."""

    last: int
    before: int

    def sums(self, lanes: int) -> int:
        """Registers that its sums need."""
        return -(-self.last // lanes) * self.before


def schedule(function: Any, registers: Registers, tile: Tile | None = None) -> Any:
    """A kernel with the template applied if it has one sum of products; others start their sums outside of the loops.

    Args:
        function: TIR as it comes from fusion.
        registers: of the processor.
        tile: by default the first of :func:`tiles`.
    """
    import tvm
    from tvm import s_tir

    sch = s_tir.Schedule(tvm.IRModule({"main": function}))
    main = _product(sch)
    if main is not None:
        chosen = tile or next(_tiles(_extents(sch), registers))
        try:
            return _attributed(_tiled(sch.copy(), chosen, registers.lanes), function)
        except s_tir.ScheduleError:
            pass  # an operator behind the product reads more than one element: it stays as it is
    for block in _blocks(sch):
        if _sums(sch, block):
            _start_outside(sch, block)
    return _attributed(sch, function)


def tiles(function: Any, registers: Registers) -> list[Tile]:
    """Tiles worth trying for a kernel, the most promising one first; none where the template does not apply."""
    import tvm
    from tvm import s_tir

    sch = s_tir.Schedule(tvm.IRModule({"main": function}))
    return [] if _product(sch) is None else list(_tiles(_extents(sch), registers))


def _tiles(extents: list[int], registers: Registers) -> Iterator[Tile]:
    """Divisors of the last two extents whose sums fill the registers best; then those that come next."""
    lanes, most = registers.lanes, registers.sums
    befores = _divisors(extents[-2], 2 * most) if len(extents) > 1 else [1]
    least = _divisors(extents[-1], lanes)[-1]
    lasts = [size for size in _divisors(extents[-1], 4 * lanes) if size >= least]
    every = [Tile(last, before) for last in lasts for before in befores]
    fitting = [tile for tile in every if tile.sums(lanes) <= most] or every[:1]

    def promise(tile: Tile) -> tuple[bool, int, int]:
        """Whole vectors, then many sums, then two vectors: each operand that is loaded serves several products."""
        return (tile.last % lanes != 0, -tile.sums(lanes), abs(-(-tile.last // lanes) - 2))

    ranked = sorted(fitting, key=promise)
    wide = [tile for tile in every if most < tile.sums(lanes) <= most * 3 // 2]
    yield from ranked[:1]
    yield from (*ranked[1:5], *wide[:2])


def _divisors(extent: int, most: int) -> list[int]:
    return [size for size in range(1, min(extent, most) + 1) if extent % size == 0]


def _attributed(sch: Any, function: Any) -> Any:
    return sch.mod["main"].with_attrs(function.attrs)


def _blocks(sch: Any) -> list[Any]:
    return list(sch.get_child_blocks(sch.get_sblock("root")))


def _kinds(sch: Any, block: Any) -> list[int]:
    """0 for each axis of the output, 2 for each that is summed over (``tirx.IterVar``)."""
    return [int(axis.iter_type) for axis in sch.get(block).iter_vars]


def _sums(sch: Any, block: Any) -> bool:
    return 2 in _kinds(sch, block) and sch.get(block).init is not None


def _product(sch: Any) -> Any:
    """The one block that sums something read from two buffers; None where there is none, or several."""
    sums = [block for block in _blocks(sch) if _sums(sch, block)]
    return sums[0] if len(sums) == 1 and len(sch.get(sums[0]).reads) >= 2 else None


def _extents(sch: Any) -> list[int]:
    """Of the loops of the last block, which writes the result, without sums."""
    block = _blocks(sch)[-1]
    pairs = zip(sch.get_loops(block), _kinds(sch, block), strict=True)
    return [int(sch.get(loop).extent) for loop, kind in pairs if kind == 0]


def _start_outside(sch: Any, block: Any) -> None:
    """Write the initial value in a loop of its own, in front of the first loop that sums."""
    loops, kinds = sch.get_loops(block), _kinds(sch, block)
    if len(loops) == len(kinds):
        sch.decompose_reduction(block, loops[kinds.index(2)])


def _tiled(sch: Any, tile: Tile, lanes: int) -> Any:
    main, blocks = _product(sch), _blocks(sch)
    behind = blocks[next(place for place, block in enumerate(blocks) if _sums(sch, block)) + 1 :]
    for block in behind[:-1]:
        sch.compute_inline(block)
    last = behind[-1] if behind else sch.cache_write(main, 0, "global")
    at = _split(sch, last, tile, lanes, weights_outside=_weight_bytes(sch, main) > _CACHE)
    sch.compute_at(main, at, preserve_unit_loops=True)
    _order(sch, main, tile, lanes)
    return sch


def _split(sch: Any, block: Any, tile: Tile, lanes: int, *, weights_outside: bool) -> Any:
    """Tile the loops of the block that writes the result; returns the loop around one tile.

    With ``weights_outside`` the weights of one tile serve the whole output before those of the next are read.
    """
    loops = sch.get_loops(block)
    outer, inner = sch.split(loops[-1], [None, tile.last])
    around = outer
    if len(loops) > 1:
        before_outer, before_inner = sch.split(loops[-2], [None, tile.before])
        order = [outer, *loops[:-2], before_outer] if weights_outside else [*loops[:-2], before_outer, outer]
        sch.reorder(*order, before_inner, inner)
        around = order[-1]
    _vectorize(sch, inner, tile, lanes)
    return around


def _weight_bytes(sch: Any, block: Any) -> int:
    """Bytes of the last operand, which holds the weights."""
    buffer = sch.get(block).reads[-1].buffer
    return math.prod(int(size) for size in buffer.shape) * 4


def _order(sch: Any, block: Any, tile: Tile, lanes: int) -> None:
    """Inside of a tile: sums outside, then the elements, unrolled, and vectors innermost."""
    kinds = _kinds(sch, block)
    loops = sch.get_loops(block)[-len(kinds) :]
    inside = [loop for loop, kind in zip(loops, kinds, strict=True) if kind == 0]
    summed = [loop for loop, kind in zip(loops, kinds, strict=True) if kind == 2]
    sch.reorder(*summed, *inside)
    if len(inside) > 1:
        sch.unroll(inside[-2])
    _vectorize(sch, inside[-1], tile, lanes)
    sch.decompose_reduction(block, summed[0])


def _vectorize(sch: Any, loop: Any, tile: Tile, lanes: int) -> None:
    """Vectors of whole registers where the tile has such; a processor without vectors gets its loop unrolled."""
    if lanes == 1 or tile.last == 1:
        sch.unroll(loop)
        return
    if tile.last > lanes and tile.last % lanes == 0:
        outer, loop = sch.split(loop, [None, lanes])
        sch.unroll(outer)
    sch.vectorize(loop)
