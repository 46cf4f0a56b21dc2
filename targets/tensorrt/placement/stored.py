"""Weights as a Q/DQ graph stores them."""

from __future__ import annotations

import dataclasses

import numpy as np

from profiles.runner import Array
from targets.tensorrt.formats.scales import quantize_weights, split_scales, weight_scales
from targets.tensorrt.placement.placement import Weights

#: The largest magnitude of a quantized activation.
_LARGEST_INPUT = 128


@dataclasses.dataclass(frozen=True)
class Stored:
    """int8 weights: real = scale * values, times the channel's factor where there are factors.

    Attributes:
        values: int8, of the weights' shape.
        scale: float32, shape () or (channels,).
        axis: of the output channels where ``scale`` has one per channel, None otherwise.
        factors: float32, shape (channels,), to be multiplied behind the convolution; None without.
    """

    values: Array
    scale: Array
    axis: int | None = None
    factors: Array | None = None


def store(weights: Array, axis: int | None, style: Weights, input_scale: float) -> Stored:
    """Quantize weights.

    Args:
        weights: floats of any shape.
        axis: of the output channels; None where they cannot be told apart.
        style: how many scales, and where; in front of the product where behind it they would not fit fp16.
        input_scale: the largest that the other factor of the product has; only :attr:`Weights.BEHIND` needs it.
    """
    if style is Weights.TENSOR or axis is None:
        scale = weight_scales(weights, None)
        return Stored(quantize_weights(weights, scale, None), scale)
    scale = weight_scales(weights, axis)
    values = quantize_weights(weights, scale, axis)
    others = tuple(index for index in range(weights.ndim) if index != axis)
    sums = np.abs(values.astype(np.int64)).sum(axis=others) * _LARGEST_INPUT * input_scale
    split = split_scales(scale, sums) if style is Weights.BEHIND else None
    if split is None:
        return Stored(values, scale, axis)
    front, factors = split
    return Stored(quantize_weights(weights, front * factors, axis), front, None, factors)
