"""Operators that take an axis apart or mix it: slices, splits, padding, channel shuffle, lists of channels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from toolchain.compress.structured.groups_labels import FIXED, Axis, Nodes
from toolchain.compress.structured.groups_sizes import Size
from toolchain.compress.structured.groups_tracer import Axes, Call
from toolchain.compress.structured.handlers import handles
from toolchain.compress.structured.handlers_reshape import claim


@handles("select", "unbind")
def select(call: Call) -> Axes | list[Axes]:
    """Single positions are picked by constants, so their axis stays."""
    x, dim = call.args[0], call.get(1, "dim", 0)
    axes = list(call.axes(x))
    taken = axes.pop(dim % x.ndim)
    call.labels.pin(taken, lambda: call.why("single positions of it are picked"))
    return tuple(axes) if isinstance(call.out, torch.Tensor) else [tuple(axes)] * len(call.out)


@handles("slice")
def cut(call: Call) -> Axes:
    """A slice: where it begins and ends decides what may go."""
    x, dim = call.args[0], call.get(1, "dim", 0)
    start, end, step = call.get(2, "start"), call.get(3, "end"), call.get(4, "step", 1)
    dim %= x.ndim
    axes, length = list(call.axes(x)), x.shape[dim]
    axis = axes[dim]
    if axis is None:
        return tuple(axes)
    if step != 1:
        call.labels.pin(axis, lambda: call.why("every so many positions of it are picked"))
    first, last = slice(start, end).indices(length)[:2]
    for raw, bound in ((start, first), (end, last)):
        if 0 < bound < length:
            _border(call, axis, int(raw), bound)
    axes[dim] = axis[first:last:step]
    return tuple(axes)


def _border(call: Call, axis: Nodes, raw: int, bound: int) -> None:
    """An axis is cut at ``bound``: a constant, an attribute of the layer, or a share of the axis."""
    size = _written_bound(call, raw)
    if isinstance(size, Size) and size.attribute is not None:
        call.keep(size.attribute, axis[:bound])
    elif isinstance(size, Size) and size.axis is not None and len(size.axis) == bound and size.divisor == 1:
        call.labels.unite(axis[:bound], size.axis, lambda: call.why("it is cut at a length that stays"))
    elif isinstance(size, Size) or call.written is None:
        _shares(call, axis, [bound])
    else:
        stays = axis[:bound] if raw >= 0 else axis[bound:]
        call.labels.pin(stays, lambda: call.why(f"it is cut at the constant {raw}"))


def _written_bound(call: Call, raw: int) -> Any:
    """The size as the code wrote it, found by its value."""
    if call.written is None:
        return None
    leaves = [leaf for part in _flat(call.written[1:]) for leaf in [part] if isinstance(leaf, Size)]
    same_value = [leaf for leaf in leaves if int(leaf) == raw]
    return same_value[0] if same_value else (leaves[0] if leaves and call.written[0] == "narrow" else None)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, slice):
        return _flat([value.start, value.stop, value.step])
    if isinstance(value, (list, tuple)):
        return [leaf for part in value for leaf in _flat(part)]
    if isinstance(value, dict):
        return _flat(list(value.values()))
    return [value]


def _shares(call: Call, axis: Nodes, bounds: list[int]) -> None:
    """An axis is cut in proportion: the same positions of every equal part go."""
    part = math.gcd(len(axis), *bounds)
    why = lambda: call.why("it is cut into shares")  # noqa: E731
    call.labels.fold(axis.reshape(-1, part), why)


@handles("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "chunk", "tensor_split")
def split(call: Call) -> list[Axes]:
    """Parts of an axis: equal shares, lengths that the layer keeps, or constants."""
    x, dim = call.args[0], call.get(2, "dim", 0)
    dim %= x.ndim
    axes = list(call.axes(x))
    axis, lengths = axes[dim], [t.shape[dim] for t in call.out]
    ends = np.cumsum(lengths).tolist()
    pieces: list[Axis] = [None] * len(lengths)
    if axis is not None:
        pieces = [axis[end - n : end] for end, n in zip(ends, lengths, strict=True)]
        _split(call, axis, pieces, ends)
    return [(*axes[:dim], piece, *axes[dim + 1 :]) for piece in pieces]


def _split(call: Call, axis: Nodes, pieces: list[Axis], ends: list[int]) -> None:
    written = None if call.written is None else call.written[0]
    given = None if written in (None, "chunk", "tensor_split", "unsafe_chunk") else _given_parts(call)
    if given is None or (isinstance(given, Size) and given.attribute is None):
        return _shares(call, axis, ends[:-1] or [len(axis)])
    if isinstance(given, Size):
        _shares(call, axis, ends[:-1] or [len(axis)])
        return claim(call, given, pieces[0])
    if isinstance(given, int):
        return call.labels.pin(axis, lambda: call.why(f"it is split into parts of {int(given)}"))
    if any(isinstance(size, Size) and size.attribute is None for size in given):
        return _shares(call, axis, ends[:-1] or [len(axis)])
    for size, piece in zip(given, pieces, strict=True):
        claim(call, size, piece)
    return None


def _given_parts(call: Call) -> Any:
    assert call.written is not None
    _, args, kwargs = call.written
    for name in ("split_size_or_sections", "split_size", "split_sizes"):
        if name in kwargs:
            return kwargs[name]
    return args[1] if len(args) > 1 else None


@handles("constant_pad_nd")
def pad(call: Call) -> Axes:
    """New positions stay; the old ones move."""
    x, amounts = call.args[0], call.args[1]
    axes = list(call.axes(x))
    for i in range(len(amounts) // 2):
        dim, (before, after) = -1 - i, amounts[2 * i : 2 * i + 2]
        axis = axes[dim]
        if axis is not None and (before or after):
            if min(before, after) < 0:
                call.labels.pin(axis, lambda: call.why("it is cropped"))
                axes[dim] = None
            else:
                ends = (np.full(before, FIXED, np.int64), np.full(after, FIXED, np.int64))
                axes[dim] = np.concatenate([ends[0], axis, ends[1]])
    return tuple(axes)
