"""Ready-made layers: what has no weights of its own, written as a pass through the array."""

from __future__ import annotations

import numpy as np

from profiles.runner import Array
from targets.tvm_fpga.compiler.ir import Addition, Kind, Layer, Tensor

#: A multiplier and a shift that leave a value as it is.
ONE = (1 << 15, 15)


def copy(name: str, source: Tensor, out: Tensor, *, at: int = 0, mult: int = ONE[0], shift: int = ONE[1]) -> Layer:
    """A tensor into channels ``at`` and up of another; mult / 2^shift is source.scale / out.scale."""
    channels = source.channels
    return Layer(
        name,
        Kind.DEPTHWISE,
        source,
        out,
        weights=np.ones((1, 1, channels), np.int8),
        bias=np.full(channels, -source.zero),
        mult=np.full(channels, mult),
        shift=np.full(channels, shift),
        zero=out.zero,
        fill=source.zero,
        at=at,
    )


def add(name: str, first: Tensor, addition: Addition, out: Tensor) -> Layer:
    """``first`` + ``addition.other`` as a layer of its own; the compiler fuses it into the one before if it can."""
    plain = copy(name, first, first)
    return Layer(
        name,
        Kind.DEPTHWISE,
        first,
        out,
        plain.weights,
        plain.bias,
        plain.mult,
        plain.shift,
        zero=first.zero,
        fill=first.zero,
        addition=addition,
    )


def largest(
    name: str,
    source: Tensor,
    out: Tensor,
    kernel: tuple[int, int],
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
) -> Layer:
    """Max pooling; ``out`` has the quantization of ``source``."""
    channels = source.channels
    return Layer(
        name,
        Kind.LARGEST,
        source,
        out,
        weights=np.ones((*kernel, channels), np.int8),
        bias=np.full(channels, -source.zero),
        mult=np.full(channels, ONE[0]),
        shift=np.full(channels, ONE[1]),
        zero=out.zero,
        stride=stride,
        padding=padding,
        fill=-128,
    )


def ungrouped(weights: Array, groups: int) -> Array:
    """Weights of a grouped convolution (outputs x rows x columns x inputs / groups) with zeros for all other inputs.

    Tiles of zeros cost nothing: the compiler leaves them out where they stand before or behind a group's own.
    """
    outputs, rows, columns, inputs = weights.shape
    wide = np.zeros((outputs, rows, columns, groups * inputs), weights.dtype)
    for group in range(groups):
        mine = slice(group * (outputs // groups), (group + 1) * (outputs // groups))
        wide[mine, ..., group * inputs : (group + 1) * inputs] = weights[mine]
    return wide


def changes_nothing(layer: Layer) -> bool:
    """Whether the value before an addition is the input itself."""
    return (
        layer.kind is Kind.DEPTHWISE
        and layer.kernel == (1, 1)
        and layer.stride == (1, 1)
        and layer.source.shape[:2] == layer.out.shape[:2]
        and layer.padding == (0, 0)
        and bool(np.all(layer.weights == 1))
        and bool(np.all(layer.bias == -layer.source.zero))
        and bool(np.all(layer.mult == ONE[0]) and np.all(layer.shift == ONE[1]))
        and (layer.zero, layer.lo, layer.hi) == (layer.source.zero, -128, 127)
    )
