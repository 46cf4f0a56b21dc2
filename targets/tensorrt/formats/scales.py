"""Symmetric int8: from ranges and weights to scales (real = scale * q, zero point 0).

TensorRT takes nothing else (TensorRT documentation, "Explicit quantization"). All scales are fp16 numbers, rounded up:
they stay what they are when a network's float part is cast to fp16.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from profiles.runner import Array
from targets.histogram import Range
from targets.tensorrt.formats.number_formats import FP16_MAX, FP16_NORMAL, FP16_TINY, fp16_scale

#: The largest int8 value. Weights do not use -128, so that a weight and its negative are stored alike.
LARGEST = 127


def symmetric_scale(limits: Range) -> float:
    """The scale that puts the larger end of a range at 127: max(|low|, |high|) / 127; 1 for a range of zeros."""
    return float(_scale(np.array(max(abs(limits[0]), abs(limits[1])) / LARGEST)))


def symmetric_scales(limits: Mapping[str, Range], shared: Iterable[Iterable[str]] = ()) -> dict[str, float]:
    """The scale of every tensor; tensors of one group get the scale of the group's widest range."""
    scales = {name: symmetric_scale(pair) for name, pair in limits.items()}
    for group in map(tuple, shared):
        scales |= dict.fromkeys(group, max(scales[name] for name in group))
    return scales


def weight_scales(values: Array, axis: int | None) -> Array:
    """The scales of weights: largest magnitude / 127.

    Args:
        values: float weights of any shape.
        axis: of the output channels, which get a scale each, shape (channels,); None for one scale, shape ().
    """
    others = None if axis is None else tuple(index for index in range(values.ndim) if index != axis)
    return _scale(np.asarray(np.max(np.abs(values.astype(np.float64)), axis=others, initial=0.0)) / LARGEST)


def _scale(wanted: Array) -> Array:
    """fp16 numbers, unless fp16 has no number as small as the largest of them; a channel of zeros has that one.

    A channel far below the others of its tensor gets the smallest fp16 number.
    """
    largest = float(np.max(wanted, initial=0.0))
    filled = np.where(wanted > 0, wanted, largest)
    if 0 < largest < FP16_TINY:
        exact = np.maximum(filled, np.finfo(np.float32).tiny).astype(np.float32)
        return np.nextafter(exact, np.float32(1))
    return fp16_scale(filled)


def quantize_weights(values: Array, scale: Array, axis: int | None) -> Array:
    """Weights as int8 in [-127, 127]: the nearest multiples of their scale, ties to even."""
    spread = spread_out(scale.astype(np.float64), values.ndim, axis)
    return np.clip(np.rint(values / spread), -LARGEST, LARGEST).astype(np.int8)


def split_scales(scale: Array, sums: Array) -> tuple[Array, Array] | None:
    """One scale for a whole weight tensor, and factors of its channels, so that their products are the scales.

    Between the two a network may hold sums of products in fp16, which have to fit: the scale in front is made smaller
    where they would not.

    Args:
        scale: per channel, shape (channels,).
        sums: the largest magnitude that each channel's sum of products can have, in units of its scale.

    Returns:
        The scale in front, shape (), and the factors behind, shape (channels,); fp16 numbers, as float32. None where
        the scale in front would have to be more than 1024 times smaller.
    """
    whole = float(np.max(scale))
    front = whole
    while float(np.max(sums, initial=0.0)) * front > FP16_MAX / 2:
        front /= 2
    if front * 1024 < whole or front < FP16_NORMAL:
        return None
    rounded = fp16_scale(np.array(front))
    return rounded, fp16_scale(scale.astype(np.float64) / float(rounded))


def spread_out(values: Array, rank: int, axis: int | None) -> Array:
    """One value per channel, in a shape that meets tensors of that rank along the axis; a scalar as it is."""
    return values if axis is None else values.reshape([-1 if index == axis else 1 for index in range(rank)])
