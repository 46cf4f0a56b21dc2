"""Operators that only move values: reshape, permute, slice, split, concatenate, shuffle, pad, repeat."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree

from toolchain.compress.structured.groups_labels import ANY, FIXED, Axis
from toolchain.compress.structured.groups_sizes import Size
from toolchain.compress.structured.groups_trace import Axes, Call
from toolchain.compress.structured.handlers import handles, pin_all
from toolchain.compress.structured.handlers_reshape import claim, reshape, written_sizes


@handles("view", "_unsafe_view", "reshape", "_reshape_alias", "squeeze", "unsqueeze", "squeeze_copy", "view_copy")
def view(call: Call) -> Axes:
    x = call.args[0]
    sizes = written_sizes(call, call.out.ndim) if call.name in ("view", "_unsafe_view", "reshape") else None
    return reshape(call, call.axes(x), tuple(x.shape), tuple(call.out.shape), sizes)


@handles("clone", "detach", "alias", "contiguous", "_to_copy", "lift_fresh", "lift_fresh_copy", "zeros_like",
         "copy", "dropout", "native_dropout", "feature_dropout", "bernoulli", "empty_like", "new_empty_strided",
         "rand_like", "randn_like", "triu", "tril", "_conj", "resolve_conj", "to")  # fmt: skip
def same(call: Call) -> Axes | list[Axes]:
    axes = call.axes(call.args[0])
    return axes if isinstance(call.out, torch.Tensor) else [axes] * len(call.out)


@handles("ones_like", "full_like", "fill")
def same_shape(call: Call) -> Axes:
    axes = call.axes(call.args[0])
    for axis in axes:
        call.labels.revive(axis)
    return axes


@handles("copy_")
def copy_into(call: Call) -> Axes:
    from toolchain.compress.structured.handlers import pointwise

    return pointwise(call)


@handles("zeros", "ones", "empty", "full", "new_zeros", "new_ones", "new_empty", "new_full", "rand", "randn")
def made(call: Call) -> Axes:
    """A new tensor: its axes are as long as those that its sizes were read from."""
    sizes = written_sizes(call, call.out.ndim)
    axes: list[Axis] = []
    for n, size in zip(call.out.shape, sizes or [None] * call.out.ndim, strict=True):
        known = isinstance(size, Size) and size.axis is not None and size.divisor == 1 and len(size.axis) == n
        axes.append(size.axis if known else None)
    if call.name not in ("zeros", "new_zeros"):
        for axis in axes:
            call.labels.revive(axis)
    return tuple(axes)


@handles("permute", "transpose", "t", "movedim", "swapaxes", "numpy_T")
def permute(call: Call) -> Axes:
    axes = list(call.axes(call.args[0]))
    if call.name == "permute":
        return tuple(axes[d] for d in call.args[1])
    one, other = (call.args[1], call.args[2]) if call.name == "transpose" else (0, -1)
    if axes:
        axes[one], axes[other] = axes[other], axes[one]
    return tuple(axes)


@handles("expand")
def expand(call: Call) -> Axes:
    x, out = call.args[0], call.out
    axes: list[Axis] = [None] * (out.ndim - x.ndim) + list(call.axes(x))
    shape = [1] * (out.ndim - x.ndim) + list(x.shape)
    sizes = written_sizes(call, out.ndim)
    for dim, (was, now) in enumerate(zip(shape, out.shape, strict=True)):
        if was == 1 and now > 1:
            axes[dim] = _stretched(now, None if sizes is None else sizes[dim])
        elif sizes is not None and axes[dim] is not None:
            claim(call, sizes[dim], axes[dim])
    return tuple(axes)


def _stretched(length: int, size: Any) -> Axis:
    if isinstance(size, Size) and size.axis is not None and len(size.axis) == length and size.divisor == 1:
        return size.axis
    return np.full(length, ANY, np.int64) if size is None else None


@handles("cat")
def concatenate(call: Call) -> Axes:
    tensors = [t for t in call.args[0] if t.ndim == call.out.ndim]
    dim = call.get(1, "dim", 0) % call.out.ndim
    axes: list[Axis] = []
    for d in range(call.out.ndim):
        parts = [call.axes(t)[d] for t in tensors]
        axes.append(_joined(parts, tensors, d) if d == dim else _met(call, parts))
    return tuple(axes)


def _joined(parts: list[Axis], tensors: list[torch.Tensor], dim: int) -> Axis:
    if all(part is None for part in parts):
        return None
    return np.concatenate(
        [np.full(t.shape[dim], FIXED, np.int64) if p is None else p for p, t in zip(parts, tensors, strict=True)]
    )


def _met(call: Call, parts: list[Axis]) -> Axis:
    first = parts[0]
    for part in parts[1:]:
        if first is not None or part is not None:
            first = call.labels.unite(first, part, lambda: call.why("it meets an axis that cannot be pruned"))
    return first


@handles("stack")
def stack(call: Call) -> Axes:
    dim = call.get(1, "dim", 0) % call.out.ndim
    axes = [_met(call, [call.axes(t)[d] for t in call.args[0]]) for d in range(call.out.ndim - 1)]
    return (*axes[:dim], None, *axes[dim:])


@handles("select", "unbind")
def select(call: Call) -> Axes | list[Axes]:
    x, dim = call.args[0], call.get(1, "dim", 0)
    axes = list(call.axes(x))
    taken = axes.pop(dim % x.ndim)
    call.labels.pin(taken, lambda: call.why("single positions of it are picked"))
    return tuple(axes) if isinstance(call.out, torch.Tensor) else [tuple(axes)] * len(call.out)


@handles("slice")
def cut(call: Call) -> Axes:
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


def _border(call: Call, axis: np.ndarray, raw: int, bound: int) -> None:
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


def _shares(call: Call, axis: np.ndarray, bounds: list[int]) -> None:
    """An axis is cut in proportion: the same positions of every equal part go."""
    part = math.gcd(len(axis), *bounds)
    why = lambda: call.why("it is cut into shares")  # noqa: E731
    call.labels.fold(axis.reshape(-1, part), why)


@handles("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "chunk", "tensor_split")
def split(call: Call) -> list[Axes]:
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


def _split(call: Call, axis: np.ndarray, pieces: list[Axis], ends: list[int]) -> None:
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


@handles("repeat", "tile")
def repeat(call: Call) -> Axes:
    x, reps = call.args[0], list(call.args[1])
    shape = [1] * (len(reps) - x.ndim) + list(x.shape)
    axes: list[Axis] = [None] * (len(reps) - x.ndim) + list(call.axes(x))
    sizes = written_sizes(call, len(reps))
    for dim, count in enumerate(reps):
        if shape[dim] == 1 and count > 1:
            axes[dim] = _stretched(count, None if sizes is None else sizes[dim])
        elif axes[dim] is not None and count > 1:
            axes[dim] = np.tile(axes[dim], count)  # type: ignore[arg-type]
    return tuple(axes)


@handles("flip")
def flip(call: Call) -> Axes:
    x = call.args[0]
    turned = {d % x.ndim for d in call.args[1]}
    return tuple(a[::-1] if i in turned and a is not None else a for i, a in enumerate(call.axes(x)))


@handles("roll")
def roll(call: Call) -> Axes:
    x, dims = call.args[0], call.get(2, "dims", [])
    for d in dims or range(x.ndim):
        call.labels.pin(call.axes(x)[d], lambda: call.why("it is rolled by a constant"))
    return call.axes(x)


@handles("pixel_shuffle", "pixel_unshuffle")
def pixels(call: Call) -> Axes:
    axes, factor = list(call.axes(call.args[0])), int(call.args[1]) ** 2
    axis = axes[-3]
    if axis is not None:
        shuffle = call.name == "pixel_shuffle"
        folded = lambda: call.labels.fold(axis.reshape(-1, factor).T, lambda: call.why("it becomes pixels"))  # noqa: E731
        axes[-3] = folded() if shuffle else np.repeat(axis, factor)
    return tuple(axes)


@handles("channel_shuffle", "native_channel_shuffle")
def shuffle(call: Call) -> Axes:
    axes, groups = list(call.axes(call.args[0])), int(call.args[1])
    axis = axes[1]
    if axis is not None:
        rows = axis.reshape(groups, -1)
        call.labels.fold(rows, lambda: call.why("its channels are shuffled"))
        axes[1] = rows.T.reshape(-1)
    return tuple(axes)


@handles("im2col", "col2im")
def columns(call: Call) -> Axes:
    axes = call.axes(call.args[0])
    kernel = math.prod(call.args[1] if call.name == "im2col" else call.args[2])
    axis = axes[-2] if call.name == "col2im" else axes[-3]
    if axis is not None:
        folded = lambda: call.labels.fold(axis.reshape(-1, kernel).T, lambda: call.why("it becomes pixels"))  # noqa: E731
        axis = np.repeat(axis, kernel) if call.name == "im2col" else folded()
    return (*axes[: -2 if call.name == "col2im" else -3], axis, *(None,) * (2 if call.name == "col2im" else 1))


@handles("index_select", "index")
def index(call: Call) -> Axes:
    """Channels picked by a list that the model holds: the list is rewritten when channels go."""
    x = call.args[0]
    axes = list(call.axes(x))
    given = [call.args[2]] if call.name == "index_select" else call.args[1]
    used = [(d, i) for d, i in enumerate(given) if i is not None]
    dim = call.args[1] % x.ndim if call.name == "index_select" else used[0][0]
    picks = used[0][1]
    if len(used) == 1 and picks.ndim == 1 and picks.dtype == torch.int64 and axes[dim] is not None:
        axes[dim] = _picked(call, axes[dim], picks)
        return tuple(axes)
    if len(used) == 1 and picks.ndim == 1 and axes[dim] is None:
        return tuple(axes)
    pin_all(call, x, "positions of it are picked")
    return (None,) * call.out.ndim


def _picked(call: Call, axis: Any, picks: torch.Tensor) -> Axis:
    holder = call.tracer.holder(picks)
    made = axis[picks.numpy()]
    if holder is None:
        call.labels.pin(axis, lambda: call.why("its channels are picked by a list that is not a buffer"))
        return None
    call.labels.unite(call.axes(picks)[0], made, lambda: call.why("its channels are picked by a list"))
    call.tracer.trace.indices.append((*holder, axis))
    return np.asarray(made)


@handles("set_")
def emptied(call: Call) -> Axes:
    """A tensor whose memory is given back."""
    return (None,) * call.out.ndim


@handles("gather", "scatter", "index_put", "as_strided", "unfold", "take")
def unclear(call: Call) -> Axes:
    if call.name.startswith("as_strided") and call.args[0].shape == call.out.shape:
        return call.axes(call.args[0])
    for tensor in _pytree.tree_leaves((call.args, dict(call.kwargs))):
        if isinstance(tensor, torch.Tensor):
            pin_all(call, tensor, "positions of it are picked")
    return (None,) * call.out.ndim


@handles("repeat_interleave")
def interleave(call: Call) -> Axes:
    x, count, dim = call.args[0], call.args[1], call.get(2, "dim")
    if dim is None or isinstance(count, torch.Tensor):
        return unclear(call)
    axes = list(call.axes(x))
    if axes[dim] is not None:
        axes[dim] = np.repeat(axes[dim], count)  # type: ignore[arg-type]
    return tuple(axes)
