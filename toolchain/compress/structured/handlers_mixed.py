"""Operators that mix the positions of an axis: flips, channel shuffle, pixels, patches, lists of channels."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.utils import _pytree

from toolchain.compress.structured.groups_labels import Axis, Nodes
from toolchain.compress.structured.groups_tracer import Axes, Call, unfollowed
from toolchain.compress.structured.handlers import handles, pin_all


@handles("flip")
def flip(call: Call) -> Axes:
    """Positions in reverse order."""
    x = call.args[0]
    turned = {d % x.ndim for d in call.args[1]}
    return tuple(a[::-1] if i in turned and a is not None else a for i, a in enumerate(call.axes(x)))


@handles("roll")
def roll(call: Call) -> Axes:
    """A rotation by a constant is another one on a shorter axis."""
    x, dims = call.args[0], call.get(2, "dims", [])
    for d in dims or range(x.ndim):
        call.labels.pin(call.axes(x)[d], lambda: call.why("it is rolled by a constant"))
    return call.axes(x)


@handles("pixel_shuffle", "pixel_unshuffle")
def pixels(call: Call) -> Axes:
    """Runs of channels that become the pixels of one channel go together."""
    axes, factor = list(call.axes(call.args[0])), int(call.args[1]) ** 2
    axis = axes[-3]
    if axis is not None:
        axes[-3] = _runs(call, axis, factor) if call.name == "pixel_shuffle" else np.repeat(axis, factor)
    return tuple(axes)


def _runs(call: Call, axis: Nodes, length: int) -> Axis:
    """Couple every run of so many positions; one position per run."""
    return call.labels.fold(axis.reshape(-1, length).T, lambda: call.why("runs of it become pixels"))


@handles("channel_shuffle", "native_channel_shuffle")
def shuffle(call: Call) -> Axes:
    """The same channel of every group goes."""
    axes, groups = list(call.axes(call.args[0])), int(call.args[1])
    axis = axes[1]
    if axis is not None:
        rows = axis.reshape(groups, -1)
        call.labels.fold(rows, lambda: call.why("its channels are shuffled"))
        axes[1] = rows.T.reshape(-1)
    return tuple(axes)


@handles("im2col", "col2im")
def columns(call: Call) -> Axes:
    """Patches: one channel is a run of as many rows as the kernel has values."""
    axes = call.axes(call.args[0])
    kernel = math.prod(call.args[1] if call.name == "im2col" else call.args[2])
    axis = axes[-2] if call.name == "col2im" else axes[-3]
    if axis is not None:
        axis = np.repeat(axis, kernel) if call.name == "im2col" else _runs(call, axis, kernel)
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
    return unfollowed(call.out)


def _picked(call: Call, axis: Axis, picks: torch.Tensor) -> Axis:
    holder = call.tracer.holder(picks)
    assert axis is not None
    made = np.asarray(axis[picks.numpy()], np.int64)
    if holder is None:
        call.labels.pin(axis, lambda: call.why("its channels are picked by a list that is not a buffer"))
        return None
    call.labels.unite(call.axes(picks)[0], made, lambda: call.why("its channels are picked by a list"))
    call.tracer.trace.indices.append((*holder, axis))
    return made


@handles("set_")
def emptied(call: Call) -> Axes:
    """A tensor whose memory is given back."""
    return unfollowed(call.out)


@handles("gather", "scatter", "index_put", "as_strided", "unfold", "take")
def unclear(call: Call) -> Axes:
    """Positions that nobody follows."""
    if call.name.startswith("as_strided") and call.args[0].shape == call.out.shape:
        return call.axes(call.args[0])
    for tensor in _pytree.tree_leaves((call.args, dict(call.kwargs))):
        if isinstance(tensor, torch.Tensor):
            pin_all(call, tensor, "positions of it are picked")
    return unfollowed(call.out)
