"""What a region computes, straight from the definition of its layers: no tiles, no addresses, 64-bit integers.

The oracle of all tests: a compiled program must give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from profiles.errors import DataError
from profiles.runner import Array
from targets.tvm_fpga.compiler.ir import Addition, Kind, Layer, Region, Tensor


def run_region(region: Region, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The region's outputs, each int8, rows x columns x channels.

    Raises:
        DataError: an input is missing, or has another shape or type.
    """
    values = {tensor.name: checked(tensor, inputs) for tensor in region.sources}
    for layer in region.layers:
        out = values.setdefault(layer.out.name, np.full(layer.out.shape, layer.out.zero, np.int8))
        other = values[layer.addition.other.name] if layer.addition else None
        out[..., layer.at : layer.at + layer.outputs] = run_layer(layer, values[layer.source.name], other)
    return {tensor.name: values[tensor.name] for tensor in region.outs}


def checked(tensor: Tensor, inputs: Mapping[str, Array]) -> Array:
    """A tensor's value among the inputs.

    Raises:
        DataError: it is missing, or has another shape or type.
    """
    value = inputs.get(tensor.name)
    if value is None or value.shape != tensor.shape or value.dtype != np.int8:
        seen = "nothing" if value is None else f"{value.dtype} {value.shape}"
        raise DataError(f"the input '{tensor.name}'", seen=seen, allowed=f"int8 {tensor.shape}")
    return value


def run_layer(layer: Layer, source: Array, other: Array | None = None) -> Array:
    """One layer's channels: rows x columns x outputs, int8."""
    total: Array | None = None
    for ky in range(layer.kernel[0]):
        for kx in range(layer.kernel[1]):
            each = _tap(layer, _seen(layer, source.astype(np.int64), ky, kx), ky, kx)
            largest = layer.kind is Kind.LARGEST
            total = each if total is None else np.maximum(total, each) if largest else total + each
    assert total is not None
    sums = (total + layer.bias).astype(np.int32).astype(np.int64)
    values = np.clip(_rounded(sums * layer.mult, layer.shift) + layer.zero, layer.lo, layer.hi)
    if layer.addition is not None:
        assert other is not None
        values = _added(layer, layer.addition, values, other[..., : layer.outputs])
    found: Array = values.astype(np.int8)
    return found


def _seen(layer: Layer, source: Array, ky: int, kx: int) -> Array:
    """What a tap sees at each position of the output, ``fill`` outside of the input."""
    y = np.arange(layer.out.height) * layer.stride[0] + ky * layer.dilation[0] - layer.padding[0]
    x = np.arange(layer.out.width) * layer.stride[1] + kx * layer.dilation[1] - layer.padding[1]
    inside = ((y >= 0) & (y < source.shape[0]))[:, None] & ((x >= 0) & (x < source.shape[1]))[None, :]
    found = source[np.clip(y, 0, source.shape[0] - 1)[:, None], np.clip(x, 0, source.shape[1] - 1)[None, :]]
    return np.where(inside[..., None], found, layer.fill)


def _tap(layer: Layer, seen: Array, ky: int, kx: int) -> Array:
    conv = layer.kind is Kind.CONV
    weights: Array = (layer.weights[:, ky, kx, :].T if conv else layer.weights[ky, kx]).astype(np.int64)
    found: Array = seen @ weights if conv else seen * weights
    return found


def _added(layer: Layer, addition: Addition, values: Array, other: Array) -> Array:
    mine = (values - layer.zero) * addition.mul_a
    theirs = (other.astype(np.int64) - addition.other.zero) * addition.mul_b
    scaled = _rounded(mine + theirs, np.array(addition.shift))
    found: Array = np.clip(scaled + layer.out.zero, addition.lo, addition.hi)
    return found


def _rounded(value: Array, shift: Array) -> Array:
    """value / 2^shift to the nearest, half up."""
    shift = np.asarray(shift, np.int64)
    return np.where(shift > 0, (value + (np.int64(1) << np.maximum(shift - 1, 0))) >> shift, value)
