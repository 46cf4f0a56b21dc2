"""Convolutions (grouped ones too), matrix products, normalisation, embedding, pooling."""

from __future__ import annotations

import numpy as np

from toolchain.compress.structured.groups_labels import FIXED, Axis, Nodes
from toolchain.compress.structured.groups_sizes import Attribute
from toolchain.compress.structured.groups_tracer import Axes, Call
from toolchain.compress.structured.handlers import contract, handles, pin_all


@handles("convolution", "_convolution", "conv1d", "conv2d", "conv3d", "mkldnn_convolution")
def convolution(call: Call) -> Axes:
    """Filters make channels; input channels are summed over within each group."""
    x, w, bias = call.args[0], call.args[1], call.get(2, "bias")
    transposed = bool(call.get(6, "transposed", False)) if call.name in ("convolution", "_convolution") else False
    groups = int(call.get(8 if call.name in ("convolution", "_convolution") else 6, "groups", 1))
    for axis in call.axes(w)[2:]:
        call.labels.pin(axis, lambda: call.why("it is an axis of the kernel"))
    lead = x.ndim - (w.ndim - 1)
    channels, first, second = call.axes(x)[lead], *call.axes(w)[:2]
    if groups == 1:
        reads, makes = (first, second) if transposed else (second, first)
        contract(call, channels, reads)
    else:
        makes = _grouped(call, channels, groups, transposed)
    if bias is not None:
        makes = _add_bias(call, makes, call.axes(bias)[0])
    return (*call.axes(x)[:lead], makes, *(None,) * (call.out.ndim - lead - 1))


def _add_bias(call: Call, makes: Axis, bias: Axis) -> Axis:
    if makes is None and bias is None:
        return None
    return call.labels.unite(makes, bias, lambda: call.why("it meets an axis that cannot be pruned"))


def _grouped(call: Call, channels: Axis, groups: int, transposed: bool) -> Axis:
    """Either whole groups go, or the same channels of every group."""
    w = call.args[1]
    reads = x_count = call.args[0].shape[call.args[0].ndim - (w.ndim - 1)] // groups
    makes = w.shape[1] if transposed else w.shape[0] // groups
    mode = _mode(call, groups, min(reads, makes), x_count == 1 or makes == 1)
    return (_whole if mode == "whole" else _local)(call, channels, groups, transposed)


def _mode(call: Call, groups: int, within: int, depthwise: bool) -> str:
    tracer = call.tracer
    holder = tracer.holder(call.args[1])
    if holder is None:
        return "local"
    mode = tracer.modes.get(holder[0]) or ("whole" if depthwise or groups > within else "local")
    tracer.trace.grouped[holder[0]] = mode
    return mode


def _whole(call: Call, channels: Axis, groups: int, transposed: bool) -> Axis:
    """A unit is a group: the channels that it reads and those that it makes."""
    labels, w = call.labels, call.args[1]
    first, second = call.axes(w)[:2]
    why = lambda: call.why("it is read by groups of channels that stay")  # noqa: E731
    labels.pin(second, lambda: call.why("whole groups of this convolution are pruned, not channels within them"))
    makes = first if not transposed else np.repeat(_or_fixed(first, w.shape[0]).reshape(groups, -1)[:, 0], w.shape[1])
    if channels is None or first is None or makes is None:
        labels.pin(first, why)
        labels.pin(channels, why)
        return None if first is None else makes
    unit = labels.fold(channels.reshape(groups, -1).T, why)
    for column in first.reshape(groups, -1).T:
        labels.unite(unit, column, why)
    name, _ = call.tracer.holder(w) or ("", "")
    call.keep(Attribute(name, "groups"), unit)
    return makes


def _local(call: Call, channels: Axis, groups: int, transposed: bool) -> Axis:
    """A unit has the same position in every group."""
    labels, w = call.labels, call.args[1]
    first, second = call.axes(w)[:2]
    why = lambda: call.why("it is read by a grouped convolution whose groups stay equal")  # noqa: E731
    reads = second
    if transposed:
        labels.unite(channels, first, why)
    elif channels is None or reads is None:
        labels.pin(reads, why)
        labels.pin(channels, why)
    if channels is not None and (transposed or reads is not None):
        one = labels.fold(channels.reshape(groups, -1), why)
        if not transposed:
            labels.unite(one, reads, why)
    if transposed:
        return None if second is None else np.tile(second, groups)
    if first is not None:
        labels.fold(first.reshape(groups, -1), why)
    return first


def _or_fixed(axis: Axis, count: int) -> Nodes:
    return np.full(count, FIXED, np.int64) if axis is None else axis


@handles("linear")
def linear(call: Call) -> Axes:
    """Rows of the weight make features, columns read them."""
    x, w, bias = call.args[0], call.args[1], call.get(2, "bias")
    makes, reads = call.axes(w)
    contract(call, call.axes(x)[-1], reads)
    if bias is not None:
        makes = _add_bias(call, makes, call.axes(bias)[0])
    return (*call.axes(x)[:-1], makes)


@handles("mm", "bmm", "mv", "dot", "matmul")
def product(call: Call) -> Axes:
    """The inner axes are summed over, a common batch axis is coupled."""
    return _product(call, call.args[0], call.args[1])


def _product(call: Call, a: object, b: object) -> Axes:
    one, other = call.axes(a), call.axes(b)
    contract(call, one[-1], other[max(0, len(other) - 2)])
    if len(one) == 3 and len(other) == 3:
        batch = one[0]
        if one[0] is not None or other[0] is not None:
            batch = call.labels.unite(one[0], other[0], lambda: call.why("it meets an axis that cannot be pruned"))
        return (batch, one[1], other[2])
    return (*one[:-1], *other[1:])


@handles("addmm", "baddbmm", "addmv")
def sum_and_product(call: Call) -> Axes:
    """A product to which a broadcast bias is added."""
    bias, made = call.axes(call.args[0]), _product(call, call.args[1], call.args[2])
    axes = list(made)
    for back in range(1, len(bias) + 1):
        if call.args[0].shape[-back] > 1 or call.out.shape[-back] == 1:
            axes[-back] = _add_bias(call, axes[-back], bias[-back])
    return tuple(axes)


@handles("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "batch_norm",
         "_batch_norm_no_update", "cudnn_batch_norm")  # fmt: skip
def batch_norm(call: Call) -> list[Axes]:
    """Scale, shift and statistics belong to their channels."""
    axes = list(call.axes(call.args[0]))
    for given in call.args[1:5]:
        if given is not None and not isinstance(given, (bool, float)):
            axes[1] = _add_bias(call, axes[1], call.axes(given)[0])
    if call.args[2] is None:
        call.labels.revive(axes[1])
    rest = [(None,) * t.ndim for t in call.out[1:]]
    return [tuple(axes), *rest]


@handles("native_layer_norm", "native_group_norm", "_fused_rms_norm")
def statistics_over_channels(call: Call) -> list[Axes]:
    """Statistics over an axis are not the same without some of its channels, zero or not."""
    layer = call.name == "native_layer_norm"
    x, w, bias = call.args[0], call.args[2 if layer else 1], call.args[3 if layer else 2]
    axes = list(call.axes(x))
    over = range(x.ndim - len(call.args[1]), x.ndim) if layer else [1]
    for given in (w, bias):
        if given is not None and layer:
            for dim, axis in zip(over, call.axes(given), strict=True):
                axes[dim] = _add_bias(call, axes[dim], axis)
        elif given is not None:
            axes[1] = _add_bias(call, axes[1], call.axes(given)[0])
    kind = "LayerNorm" if layer else "GroupNorm"
    for dim in over:
        call.labels.pin(axes[dim], lambda: call.why(f"{kind}'s mean and variance run over it"))
    return [tuple(axes), *[(None,) * t.ndim for t in call.out[1:]]]


@handles("embedding")
def embedding(call: Call) -> Axes:
    """The vocabulary stays; the features of an entry are channels."""
    rows, columns = call.axes(call.args[0])
    call.labels.pin(rows, lambda: call.why("it is the vocabulary"))
    return (*call.axes(call.args[1]), columns)


_SPATIAL = {
    f"{kind}{n}d{tail}": n
    for n in (1, 2, 3)
    for kind, tail in (
        ("avg_pool", ""), ("max_pool", "_with_indices"), ("max_pool", ""), ("_adaptive_avg_pool", ""),
        ("adaptive_max_pool", ""), ("adaptive_avg_pool", ""), ("reflection_pad", ""), ("replication_pad", ""),
        ("upsample_nearest", ""), ("_upsample_nearest_exact", ""), ("upsample_bilinear", ""), ("upsample_linear", ""),
        ("upsample_bicubic", ""), ("upsample_trilinear", ""), ("_upsample_bilinear", "_aa"), ("grid_sampler_", ""),
        ("max_unpool", ""), ("mkldnn_max_pool", ""),
    )
}  # fmt: skip
_SPATIAL |= {"grid_sampler_2d": 2, "grid_sampler_3d": 3}


@handles(*_SPATIAL)
def spatial(call: Call) -> Axes | list[Axes]:
    """Operators on the last axes; channels pass."""
    count, axes = _SPATIAL[call.name], call.axes(call.args[0])
    for axis in axes[-count:]:
        call.labels.pin(axis, lambda: call.why("neighbours on it are mixed"))
    for other in call.args[1:]:
        if hasattr(other, "ndim") and not call.name.startswith("max_unpool"):
            pin_all(call, other, "it holds positions")
    made = (*axes[:-count], *(None,) * count)
    return made if not isinstance(call.out, tuple) else [made] * len(call.out)
