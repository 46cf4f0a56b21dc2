"""What COMPUTE does: sums of products, requantization, the addition of a second tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from profiles.runner import Array
from targets.tvm_fpga.isa import Instruction, Mode

if TYPE_CHECKING:
    from targets.tvm_fpga.golden.machine import Machine


#: Addresses on the chip wrap here.
ADDRESSES = 1 << 20


def compute(machine: Machine, given: Instruction) -> None:
    """All positions of a block of rows, for ``nt`` groups of output channels."""
    _check_sums(machine, given)
    out = _addresses(given, given["out_base"], given["out_row"], given["out_px"])
    res = _addresses(given, given["res_base"], given["res_row"], given["res_px"])
    for group in range(given["nt"]):
        sums = _SUMS[Mode(given["mode"])](machine, given, group)
        if given["carry"]:
            sums = (sums + machine.acc[: len(sums)]).astype(np.int32).astype(np.int64)
        if given["keep"]:
            machine.acc[: len(sums)] = sums
            continue
        values = requantize(machine, given, group, sums)
        if given["residual"]:
            values = _added(given, values, _at(machine.act, res + group))
        _check(out + group, machine.act)
        machine.act[out + group] = values.astype(np.int8)


def _check_sums(machine: Machine, given: Instruction) -> None:
    """What takes more than one tile needs a place for the sum of every position."""
    taps = given["kh"] * given["kw"]
    tiles = {Mode.CONV: taps * given["ct"], Mode.WINDOW: machine.geometry.passes, Mode.TAPS: taps}[Mode(given["mode"])]
    several = tiles > 1 or given["carry"] or given["keep"]
    if several and given["rows"] * given["ow"] > len(machine.acc):
        raise IndexError(f"sums of {given['rows'] * given['ow']} positions of {len(machine.acc)}")
    if (given["carry"] or given["keep"]) and (given["mode"] != Mode.CONV or given["nt"] != 1):
        raise IndexError("sums are kept for one group of outputs of a convolution only")


def _addresses(given: Instruction, base: int, row: int, pixel: int) -> Array:
    """Of every position, row by row."""
    rows, columns = np.arange(given["rows"])[:, None], np.arange(given["ow"])[None, :]
    return (base + rows * row + columns * pixel).reshape(-1)


def _at(memory: Array, where: Array) -> Array:
    _check(where, memory)
    return memory[where].astype(np.int64)


def _check(where: Array, memory: Array) -> None:
    if where.min() < 0 or where.max() >= len(memory):
        raise IndexError(f"vectors {where.min()} to {where.max()} of {len(memory)}")


def _inputs(machine: Machine, given: Instruction, ky: int, kx: int, tile: int) -> Array:
    """The vectors that one tap sees at all positions, padding filled in: positions x lanes."""
    rows, columns = np.arange(given["rows"])[:, None], np.arange(given["ow"])[None, :]
    y = given["iy0"] + ky * given["dy"] + rows * given["sy"]
    x = given["ix0"] + kx * given["dx"] + columns * given["sx"]
    inside = ((y >= 0) & (y < given["in_h"]) & (x >= 0) & (x < given["in_w"])).reshape(-1)
    steps = ky * given["step_ky"] + kx * given["step_kx"] + rows * given["step_y"] + columns * given["step_x"]
    where = (given["in_base"] + tile + steps).reshape(-1) % ADDRESSES
    values = np.full((len(where), machine.geometry.lanes), given["fill"], np.int64)
    if inside.any():
        values[inside] = _at(machine.act, where[inside])
    return values


def _taps(given: Instruction) -> list[tuple[int, int]]:
    return [(ky, kx) for ky in range(given["kh"]) for kx in range(given["kw"])]


def _conv(machine: Machine, given: Instruction, group: int) -> Array:
    lanes, tiles = machine.geometry.lanes, len(_taps(given)) * given["ct"]
    row = given["wgt"] + group * tiles * lanes
    total = np.zeros((given["rows"] * given["ow"], lanes), np.int64)
    for ky, kx in _taps(given):
        for tile in range(given["ct"]):
            weights = _at(machine.wgt, row + np.arange(lanes))
            total += _inputs(machine, given, ky, kx, tile) @ weights
            row += lanes
    return total


def _window(machine: Machine, given: Instruction, group: int) -> Array:
    """3x3, a channel of its own for every column; pass p has taps p * lanes and up on its rows."""
    lanes, passes = machine.geometry.lanes, machine.geometry.passes
    row = given["wgt"] + group * passes * lanes
    total = np.zeros((given["rows"] * given["ow"], lanes), np.int64)
    for tap in range(9):
        weights = _at(machine.wgt, np.array([row + tap]))[0]
        total += _inputs(machine, given, tap // 3, tap % 3, group) * weights
    return total


def _serial(machine: Machine, given: Instruction, group: int) -> Array:
    """One tap at a time: a sum, or the largest."""
    taps = _taps(given)
    total: Array | None = None
    for number, (ky, kx) in enumerate(taps):
        weights = _at(machine.wgt, np.array([given["wgt"] + group * len(taps) + number]))[0]
        each = _inputs(machine, given, ky, kx, group) * weights
        total = each if total is None else np.maximum(total, each) if given["max"] else total + each
    assert total is not None
    return total


_SUMS = {Mode.CONV: _conv, Mode.WINDOW: _window, Mode.TAPS: _serial}


def requantize(machine: Machine, given: Instruction, group: int, sums: Array) -> Array:
    """clamp(round((sum + bias) * mult / 2^shift) + zero), half rounded up; sums wrap at 32 bits as in the hardware."""
    entry = given["par"] + group
    if entry >= len(machine.bias):
        raise IndexError(f"parameter entry {entry} of {len(machine.bias)}")
    value = (sums + machine.bias[entry]).astype(np.int32).astype(np.int64)
    scaled = rounded_shift(value * machine.mult[entry], machine.shift[entry])
    found: Array = np.clip(scaled + given["zero"], given["lo"], given["hi"])
    return found


def _added(given: Instruction, values: Array, other: Array) -> Array:
    """The requantized sum of two tensors with scales of their own."""
    total = (values - given["zero"]) * given["mul_a"] + (other - given["res_zero"]) * given["mul_b"]
    scaled = rounded_shift(total, np.array(given["res_shift"], np.int64))
    found: Array = np.clip(scaled + given["sum_zero"], given["sum_lo"], given["sum_hi"])
    return found


def rounded_shift(value: Array, shift: Array) -> Array:
    """value / 2^shift, half rounded up; shifts of 0 leave the value."""
    found: Array = (value + ((np.int64(1) << shift) >> 1)) >> shift
    return found
