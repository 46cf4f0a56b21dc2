"""When the array reads and writes: how far apart two accesses of neighbouring COMPUTE instructions are.

The sequencer lets one position go per cycle and never takes one back; the position's vector is read in that cycle, its
result is written 16 cycles later. Stalls only move later positions further away. So the number of positions between a
write and a read is a lower bound for the cycles between them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from profiles.runner import Array
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.isa import Instruction, Mode

ADDRESSES = 1 << 20
#: Positions between one whose result is written and one that reads it, at least: 16 cycles to the write, one until it
#: can
#: be read, one because a second tensor is read up to a cycle early; two to spare.
APART = 20

#: Banks of the activation memory.
BANKS = 4

Values = Mapping[str, int] | Instruction


def _get(given: Values, name: str) -> int:
    return given[name] if isinstance(given, Instruction) else given.get(name, 0)


def tiles(given: Values, geometry: Geometry) -> int:
    """Of one group of outputs."""
    mode, taps = Mode(_get(given, "mode")), _get(given, "kh") * _get(given, "kw")
    return {Mode.CONV: taps * _get(given, "ct"), Mode.WINDOW: geometry.passes, Mode.TAPS: taps}[mode]


def positions(given: Values) -> int:
    """That one tile walks through."""
    if _get(given, "mode") == Mode.WINDOW:
        return _get(given, "wrows") * _get(given, "wcols")
    return _get(given, "rows") * _get(given, "ow")


def _walk(rows: int, columns: int, row: int, column: int) -> Array:
    return (np.arange(rows)[:, None] * row + np.arange(columns)[None, :] * column).reshape(-1)


def _window_slots(given: Values) -> Array:
    """Which of the walked positions complete a window."""
    rows = 2 + np.arange(_get(given, "rows"))[:, None] * _get(given, "sy")
    columns = 2 + np.arange(_get(given, "ow"))[None, :] * _get(given, "sx")
    return (rows * _get(given, "wcols") + columns).reshape(-1)


def results(given: Values, geometry: Geometry, base: str = "out", groups: int | None = None) -> tuple[Array, Array]:
    """Vectors that are written (or, with "res", added), and the number of the position at which each is let go; of all
    groups, or so many.
    """
    outs = _walk(_get(given, "rows"), _get(given, "ow"), _get(given, f"{base}_row"), _get(given, f"{base}_px"))
    at = _window_slots(given) if _get(given, "mode") == Mode.WINDOW else np.arange(positions(given))
    group, per = np.arange(groups or _get(given, "nt")), tiles(given, geometry) * positions(given)
    last = (group + 1) * per - positions(given)
    where = _get(given, f"{base}_base") + group[:, None] + outs[None, :]
    return where.reshape(-1), (last[:, None] + at[None, :]).reshape(-1)


@dataclasses.dataclass(frozen=True)
class _Frame:
    """How an instruction walks: the vector of each position for the first tap, and the taps."""

    walk: Array
    taps: tuple[tuple[int, int], ...]
    rows: int
    columns: int
    steps: tuple[int, int]


def _frame(given: Values, geometry: Geometry) -> _Frame:
    window = _get(given, "mode") == Mode.WINDOW
    names = ("wrows", "wcols", "step_ky", "step_kx") if window else ("rows", "ow", "step_y", "step_x")
    rows, columns, row, column = (_get(given, name) for name in names)
    taps = ((0, 0),) * geometry.passes if window else _taps(given)
    steps = (1, 1) if window else (_get(given, "sy"), _get(given, "sx"))
    return _Frame(_get(given, "in_base") + _walk(rows, columns, row, column), taps, rows, columns, steps)


def _tap(given: Values, frame: _Frame, ky: int, kx: int) -> tuple[Array, Array]:
    """Vectors that one tap sees of the first tile, and at which positions they are inside of the tensor."""
    y = _get(given, "iy0") + ky * _get(given, "dy") + np.arange(frame.rows) * frame.steps[0]
    x = _get(given, "ix0") + kx * _get(given, "dx") + np.arange(frame.columns) * frame.steps[1]
    inside = ((y >= 0) & (y < _get(given, "in_h")))[:, None] & ((x >= 0) & (x < _get(given, "in_w")))[None, :]
    at = np.flatnonzero(inside.reshape(-1))
    return frame.walk[at] + ky * _get(given, "step_ky") + kx * _get(given, "step_kx"), at


def _taps(given: Values) -> tuple[tuple[int, int], ...]:
    return tuple((ky, kx) for ky in range(_get(given, "kh")) for kx in range(_get(given, "kw")))


def _beside(given: Values) -> int:
    """Vectors of a position that are read one after the other: tiles of inputs, or every group's own."""
    return _get(given, "ct") if _get(given, "mode") == Mode.CONV else _get(given, "nt")


def seen(given: Values, geometry: Geometry) -> Array:
    """All vectors of the input that are read, in no order."""
    frame = _frame(given, geometry)
    found = [_tap(given, frame, *tap)[0] for tap in dict.fromkeys(frame.taps)]
    return (np.concatenate(found)[:, None] + np.arange(_beside(given))).reshape(-1) % ADDRESSES


def first_reads(given: Values, geometry: Geometry, most: int) -> tuple[Array, Array]:
    """Vectors that the first ``most`` positions read, and the number of each position."""
    frame, per, number = _frame(given, geometry), positions(given), 0
    found, slots = [], []
    own = _get(given, "mode") != Mode.CONV
    for group in range(_get(given, "nt")):
        for tap in frame.taps:
            vectors, at = _tap(given, frame, *tap)
            for tile in (group,) if own else range(_get(given, "ct")):
                found.append((vectors + tile) % ADDRESSES)
                slots.append(number * per + at)
                number += 1
                if number * per >= most:
                    return np.concatenate(found), np.concatenate(slots)
    return np.concatenate(found), np.concatenate(slots)


def last_reads(given: Values, geometry: Geometry) -> tuple[Array, Array]:
    """Vectors that the last tile of the first group reads, and the number of each position in it."""
    frame = _frame(given, geometry)
    vectors, at = _tap(given, frame, *frame.taps[-1])
    tile = _get(given, "ct") - 1 if _get(given, "mode") == Mode.CONV else 0
    return (vectors + tile) % ADDRESSES, at


def needs_fence(before: Instruction, after: Values, geometry: Geometry) -> bool:
    """Whether ``after`` could read a vector before the one in front of it has written it."""
    if before["keep"]:
        return False
    total = before["nt"] * tiles(before, geometry) * positions(before)
    written, when = results(before, geometry)
    late = total - when < APART
    pending = dict(zip(written[late].tolist(), (total - when[late]).tolist(), strict=True))
    found = [first_reads(after, geometry, APART)]
    if _get(after, "residual"):
        found.append(results(after, geometry, "res"))
    return any(
        where in pending and at + pending[where] < APART
        for vectors, slots in found
        for where, at in zip(vectors.tolist(), slots.tolist(), strict=True)
        if at < APART
    )


def cycles(given: Instruction, geometry: Geometry) -> tuple[int, int]:
    """From the first position on: when the last tile begins, and when the last position is let go.

    A tile takes as long as it has positions, or as the next one's weights need; a second tensor in the bank that is
    read for the array takes a cycle of its own.
    """
    rows = 1 if given["mode"] == Mode.TAPS else geometry.lanes
    count, walked = given["nt"] * tiles(given, geometry), positions(given)
    extra = _conflicts(given, geometry) if given["residual"] else 0
    last_tile = (count - 1) * max(walked, rows) + extra * (given["nt"] - 1)
    return last_tile, last_tile + walked - 1 + extra


def _conflicts(given: Instruction, geometry: Geometry) -> int:
    """Positions of a group (the first stands for all) whose two reads are in the same bank."""
    bank, walked = geometry.activations // BANKS, positions(given)
    added, slots = results(given, geometry, "res", groups=1)
    read, at = last_reads(given, geometry)
    banks = np.full(walked, -1)
    banks[at] = read // bank
    return int(np.sum(banks[slots % walked] == added // bank))
