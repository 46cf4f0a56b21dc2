"""Composites as integer layers: weights, biases with zero points folded in, multipliers and shifts, clamps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from profiles.runner import Array
from targets.tvm_fpga.compiler.ir import Addition, Kind, Layer, Tensor
from targets.tvm_fpga.compiler.layers import add, copy, ungrouped
from targets.tvm_fpga.partition.composite import Composite, Quant, offset_of
from targets.tvm_fpga.partition.fixed_point import common_multipliers, multipliers
from targets.tvm_fpga.partition.window import Window, hwc, is_depthwise, window_of


def tensor_of(name: str, shape: Sequence[int], quant: Quant) -> Tensor:
    """The accelerator's view of a tensor of shape (1, C, H, W) or (1, C)."""
    return Tensor(name, *hwc(shape), quant.step, int(quant.zeros[0]))


def layers_of(op: Composite, sources: Sequence[Tensor], out: Tensor) -> list[Layer]:
    """The layers that compute a composite which meets all constraints; the last one writes ``out``.

    Args:
        op: the composite.
        sources: as many as it has operands.
        out: named as its layers shall be named.
    """
    viewed = [_as_operand(op, number, source) for number, source in enumerate(sources)]
    return _MAKERS[op.kind](op, viewed, out)


def _as_operand(op: Composite, number: int, source: Tensor) -> Tensor:
    quant = op.operands[number].quant
    return dataclasses.replace(source, scale=quant.step, zero=int(quant.zeros[0]))


LARGEST_WEIGHT = 127


@dataclasses.dataclass(frozen=True)
class _Numbers:
    """The arithmetic of a layer, as in :class:`targets.tvm_fpga.compiler.ir.Layer`."""

    kind: Kind
    weights: Array
    bias: Array
    mult: Array
    shift: Array


def _linear(op: Composite, sources: Sequence[Tensor], out: Tensor) -> list[Layer]:
    """Convolutions and dense layers."""
    assert op.weights is not None and op.weights_quant is not None
    source = sources[0]
    stored = op.weights.astype(np.int64) - offset_of(op.weights_quant.dtype)
    weights, kind = _arranged(op, stored, window_of(op))
    steps = np.broadcast_to(op.weights_quant.scale, out.channels) * source.scale
    axes = (0, 1) if kind is Kind.DEPTHWISE else (1, 2, 3)
    bias = _integer_bias(op, steps) - source.zero * weights.sum(axes)
    return [_layer(op, source, out, _Numbers(kind, weights, bias, *multipliers(steps / out.scale)))]


def _arranged(op: Composite, stored: Array, window: Window) -> tuple[Array, Kind]:
    """Weights in the order of the intermediate representation."""
    if op.kind == "dense":
        rows, columns, count = hwc(op.operands[0].shape)
        return stored.T.reshape(-1, count, rows, columns).transpose(0, 2, 3, 1), Kind.CONV
    if is_depthwise(op):
        return stored[:, 0].transpose(1, 2, 0), Kind.DEPTHWISE
    return ungrouped(stored.transpose(0, 2, 3, 1), window.groups), Kind.CONV


def _integer_bias(op: Composite, steps: Array) -> Array:
    """In units of the sum of products."""
    if op.bias is None:
        return np.zeros(len(steps), np.int64)
    return np.rint(per_channel(op.bias, op.out_shape) / steps).astype(np.int64)


def _scale(op: Composite, sources: Sequence[Tensor], out: Tensor) -> list[Layer]:
    """A factor for each channel: the largest weight, with the factor in the multiplier."""
    assert op.weights is not None
    real = per_channel(op.weights, op.out_shape)
    sizes = np.where(real == 0, np.abs(real).max(), np.abs(real)) / LARGEST_WEIGHT * sources[0].scale
    weights = (np.sign(real) * LARGEST_WEIGHT).astype(np.int64).reshape(1, 1, -1)
    bias = _integer_bias(op, sizes) - sources[0].zero * weights.sum((0, 1))
    return [_layer(op, sources[0], out, _Numbers(Kind.DEPTHWISE, weights, bias, *multipliers(sizes / out.scale)))]


def per_channel(values: Array, shape: Sequence[int]) -> Array:
    """One real number for each channel of a tensor of that shape."""
    full = np.broadcast_to(values.astype(np.float64), shape)
    return np.moveaxis(full, 1, 0).reshape(full.shape[1], -1)[:, 0]


def _average(op: Composite, sources: Sequence[Tensor], out: Tensor) -> list[Layer]:
    """A sum with weights of one; the division is in the multiplier."""
    kernel = window_of(op).kernel
    return [_ones(op, Kind.DEPTHWISE, sources[0], out, kernel[0] * kernel[1])]


def _largest(op: Composite, sources: Sequence[Tensor], out: Tensor) -> list[Layer]:
    return [dataclasses.replace(_ones(op, Kind.LARGEST, sources[0], out, 1), fill=-128)]


def _pointwise(op: Composite, sources: Sequence[Tensor], out: Tensor) -> list[Layer]:
    """An activation, or a change of scale, that stands alone."""
    return [_ones(op, Kind.DEPTHWISE, sources[0], out, 1)]


def _ones(op: Composite, kind: Kind, source: Tensor, out: Tensor, count: int) -> Layer:
    """Weights of one, every channel alone; ``count`` numbers are added up, and divided by that."""
    channels = source.channels
    weights = np.ones((*window_of(op).kernel, channels), np.int64)
    factors = multipliers(np.full(channels, source.scale / (count * out.scale)))
    return _layer(op, source, out, _Numbers(kind, weights, np.full(channels, -count * source.zero), *factors))


def _add(op: Composite, sources: Sequence[Tensor], out: Tensor) -> list[Layer]:
    """A layer of its own; the compiler fuses it into the one before where it can."""
    return [add(out.name, sources[0], addition_of(op, sources, out), out)]


def addition_of(op: Composite, sources: Sequence[Tensor], out: Tensor) -> Addition:
    """What is added to the first tensor: the second, both with scales of their own."""
    (mul_a, mul_b), shift = common_multipliers([source.scale / out.scale for source in sources])
    low, high = clamps(op)
    return Addition(sources[1], mul_a, mul_b, shift, low, high)


def _concat(op: Composite, sources: Sequence[Tensor], out: Tensor) -> list[Layer]:
    """A copy of each part into its channels, with a change of scale."""
    layers: list[Layer] = []
    low, high = clamps(op)
    first = 0
    for number, source in enumerate(sources):
        mult, shift = (int(each[0]) for each in multipliers(np.array([source.scale / out.scale])))
        made = copy(f"{out.name}/{number}", source, out, at=first, mult=mult, shift=shift)
        layers.append(dataclasses.replace(made, lo=low, hi=high))
        first += source.channels
    return layers


def _layer(op: Composite, source: Tensor, out: Tensor, numbers: _Numbers) -> Layer:
    window, (low, high) = window_of(op), clamps(op)
    return Layer(
        out.name,
        numbers.kind,
        source,
        out,
        np.ascontiguousarray(numbers.weights.astype(np.int8)),
        numbers.bias,
        numbers.mult,
        numbers.shift,
        zero=out.zero,
        lo=low,
        hi=high,
        stride=window.stride,
        padding=window.padding[:2],
        dilation=window.dilation,
        fill=source.zero,
    )


def clamps(op: Composite) -> tuple[int, int]:
    """The smallest and the largest int8 number that the activation lets through."""
    return op.out.stored(op.low), op.out.stored(op.high)


_MAKERS: dict[str, Callable[[Composite, Sequence[Tensor], Tensor], list[Layer]]] = {
    "conv2d": _linear,
    "dense": _linear,
    "average": _average,
    "scale": _scale,
    "largest": _largest,
    "activation": _pointwise,
    "requantize": _pointwise,
    "add": _add,
    "concat": _concat,
}
