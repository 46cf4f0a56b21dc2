"""Requantization of the convolutions and of FULLY_CONNECTED: folded biases, multipliers and shifts.

LiteRT's reference kernels round convolutions twice, in integers (gemmlowp), and FULLY_CONNECTED once, in double
precision: ``round(acc * (in_scale * weight_scale / out_scale))``, ties away from zero. The kernels have integers alone,
so for the latter a multiplier is searched that gives the same int8 value for every sum that the weights allow.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.ops.common import quantize_multiplier


def fold_bias(rows: Array, bias: Array | None, zero_point: int) -> Array:
    """What is added to ``sum(w * x)`` when ``x`` still has its zero point: int32, modulo 2^32.

    Args:
        rows: int8 weights, one row per output channel.
        bias: int32 per output channel, or None.
        zero_point: of the input.
    """
    total = -zero_point * rows.astype(np.int64).sum(axis=1)
    if bias is not None:
        total = total + bias.reshape(-1).astype(np.int64)
    return _wrapped(total)


def _wrapped(values: Array) -> Array:
    wrapped: Array = ((values + (1 << 31)) % (1 << 32) - (1 << 31)).astype(np.int32)
    return wrapped


def reach(rows: Array, folded: Array) -> tuple[Array, Array]:
    """The lowest and the highest accumulator of each output channel, int64, before any wrapping."""
    wide = rows.astype(np.int64)
    low, high = np.minimum(wide * -128, wide * 127), np.maximum(wide * -128, wide * 127)
    return folded + low.sum(axis=1), folded + high.sum(axis=1)


def real_multipliers(in_scale: float, scales: tuple[float, ...], out_scale: float) -> list[float]:
    """``in_scale * scale / out_scale`` in double precision from float32 scales, one per weight scale."""
    return [in_scale * float(np.float32(scale)) / out_scale for scale in scales]


def rounded_twice(reals: list[float], channels: int) -> tuple[Array, Array]:
    """Multipliers (int32) and shifts (int8) of ``ew_requantize``, one per channel."""
    pairs = [quantize_multiplier(real) for real in reals]
    multiplier, shift = zip(*(pairs * channels if len(pairs) == 1 else pairs), strict=True)
    return np.array(multiplier, np.int32), np.array(shift, np.int8)


@dataclasses.dataclass(frozen=True)
class Once:
    """Constants of ``ew_round_once``: where ``fine``, a second, unsigned word follows each multiplier."""

    multiplier: Array
    shift: Array
    fine: bool


def rounded_once(reals: list[float], low: Array, high: Array, limits: tuple[int, int]) -> Once:
    """Multipliers and shifts of ``ew_round_once``, one per entry of ``reals``.

    Args:
        reals: the real multipliers, one for all channels or one per channel.
        low, high: reach of the accumulator per channel.
        limits: the lowest and the highest output that matter, zero point taken off.
    """
    if len(reals) == 1:
        low, high = np.array([low.min()]), np.array([high.max()])
    found = [_searched(real, int(a), int(b), limits) for real, a, b in zip(reals, low, high, strict=True)]
    fine = any(multiplier % (1 << 32) for multiplier, _ in found)
    words = [part for multiplier, _ in found for part in (multiplier >> 32, multiplier % (1 << 32))[: 1 + fine]]
    return Once(_wrapped(np.array(words, np.int64)), np.array([shift for _, shift in found], np.int8), fine)


def _searched(real: float, low: int, high: int, limits: tuple[int, int]) -> tuple[int, int]:
    """A multiplier, times 2^32, and a shift that round as the reference does; of 31 bits if that will do."""
    _, shift = quantize_multiplier(real)
    if real == 0.0 or math.frexp(real)[1] < -31:
        return 0, 0
    steps = thresholds(real, low, high, limits)
    for extra in (0, 32):
        total = 31 - shift + extra
        wanted = math.floor(math.ldexp(real, total) + 0.5)
        least, most = _interval(steps, total)
        best = min(max(wanted, least), most, (1 << (31 + extra)) - 1)
        if least <= best:
            break
    return best << (32 - extra), shift


def thresholds(real: float, low: int, high: int, limits: tuple[int, int]) -> list[tuple[int, int]]:
    """(k, the lowest accumulator whose output is k or more), for those k that are passed within the reach."""
    ks = np.arange(limits[0] + 1, limits[1] + 1)
    near = np.floor((ks - 0.5) / real)[:, None] + np.arange(-2, 4)
    product = near * real
    whole = np.trunc(product)
    rounded = whole + np.where(np.abs(product - whole) >= 0.5, np.sign(product), 0)
    first = near[np.arange(len(ks)), (rounded >= ks[:, None]).argmax(axis=1)]
    return [(int(k), int(value)) for k, value in zip(ks, first, strict=True) if low < value <= high]


def _interval(steps: list[tuple[int, int]], total: int) -> tuple[int, int]:
    """The multipliers m for which ``(acc * m + 2^(total - 1)) >> total`` changes exactly at the thresholds."""
    least, most = 0, 1 << 64
    for k, first in steps:
        edge = (2 * k - 1) << (total - 1)  # first * m >= edge > (first - 1) * m
        if first > 0:
            least = max(least, -(-edge // first))
        elif first < 0:
            most = min(most, -edge // -first)
        if first > 1:
            most = min(most, (edge - 1) // (first - 1))
        elif first < 1:
            least = max(least, -((edge - 1) // (1 - first)))
    return least, most
