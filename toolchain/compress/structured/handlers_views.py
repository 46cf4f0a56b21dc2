"""Operators that keep values and change axes: reshape, permute, expand, concatenate, repeat; and new tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from toolchain.compress.structured.groups_labels import ANY, FIXED, Axis
from toolchain.compress.structured.groups_sizes import Size
from toolchain.compress.structured.groups_tracer import Axes, Call
from toolchain.compress.structured.handlers import handles
from toolchain.compress.structured.handlers_reshape import claim, reshape, written_sizes


@handles("view", "_unsafe_view", "reshape", "_reshape_alias", "squeeze", "unsqueeze", "squeeze_copy", "view_copy")
def view(call: Call) -> Axes:
    """See :func:`reshape`."""
    x = call.args[0]
    sizes = written_sizes(call, call.out.ndim) if call.name in ("view", "_unsafe_view", "reshape") else None
    return reshape(call, call.axes(x), tuple(x.shape), tuple(call.out.shape), sizes)


@handles("clone", "detach", "alias", "contiguous", "_to_copy", "lift_fresh", "lift_fresh_copy", "zeros_like",
         "copy", "dropout", "native_dropout", "feature_dropout", "bernoulli", "empty_like", "new_empty_strided",
         "rand_like", "randn_like", "triu", "tril", "_conj", "resolve_conj", "to")  # fmt: skip
def same(call: Call) -> Axes | list[Axes]:
    """The same shape, and zeros where zeros were."""
    axes = call.axes(call.args[0])
    return axes if isinstance(call.out, torch.Tensor) else [axes] * len(call.out)


@handles("ones_like", "full_like", "fill")
def same_shape(call: Call) -> Axes:
    """The same shape with other values."""
    axes = call.axes(call.args[0])
    for axis in axes:
        call.labels.revive(axis)
    return axes


@handles("copy_")
def copy_into(call: Call) -> Axes:
    """Writing into a tensor (or a part of it) couples it with what is written."""
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
    """Axes in another order."""
    axes = list(call.axes(call.args[0]))
    if call.name == "permute":
        return tuple(axes[d] for d in call.args[1])
    one, other = (call.args[1], call.args[2]) if call.name == "transpose" else (0, -1)
    if axes:
        axes[one], axes[other] = axes[other], axes[one]
    return tuple(axes)


@handles("expand")
def expand(call: Call) -> Axes:
    """An axis of one value becomes as long as the one that its size was read from."""
    x, out = call.args[0], call.out
    axes: list[Axis] = [*([None] * (out.ndim - x.ndim)), *call.axes(x)]
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
    """Axes one after the other; the other axes are coupled."""
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
    """All axes of the parts are coupled; the new one stays."""
    dim = call.get(1, "dim", 0) % call.out.ndim
    axes = [_met(call, [call.axes(t)[d] for t in call.args[0]]) for d in range(call.out.ndim - 1)]
    return (*axes[:dim], None, *axes[dim:])


@handles("repeat", "tile")
def repeat(call: Call) -> Axes:
    """Every position in all its repetitions at once."""
    x, reps = call.args[0], list(call.args[1])
    shape = [1] * (len(reps) - x.ndim) + list(x.shape)
    axes: list[Axis] = [*([None] * (len(reps) - x.ndim)), *call.axes(x)]
    sizes = written_sizes(call, len(reps))
    for dim, count in enumerate(reps):
        if shape[dim] == 1 and count > 1:
            axes[dim] = _stretched(count, None if sizes is None else sizes[dim])
        elif axes[dim] is not None and count > 1:
            axes[dim] = np.tile(axes[dim], count)  # type: ignore[arg-type]
    return tuple(axes)
