"""Integer arithmetic of the reference kernels on numpy arrays: what C does at run time, for tables made at build time.

Rounding is that of gemmlowp's fixedpoint.h. Arrays are int64 that hold int32 or int16 values.
"""

from __future__ import annotations

import numpy as np

from profiles.runner import Array


def high_mul(x: Array, multiplier: int) -> Array:
    """The upper half of 2 * x * multiplier in 32 bits, ties upwards (SaturatingRoundingDoublingHighMul)."""
    product: Array = (x.astype(np.int64) * multiplier + (1 << 30)) >> 31
    return product


def round_shift(x: Array, bits: int) -> Array:
    """x / 2^bits, ties away from zero (RoundingDivideByPOT)."""
    if bits == 0:
        return x
    shifted: Array = (x + (1 << (bits - 1)) + (x >> 63)) >> bits
    return shifted


def requantize(x: Array, multiplier: int, shift: int) -> Array:
    """x * multiplier * 2^(shift - 31), rounded twice (MultiplyByQuantizedMultiplier); int32 wraps around."""
    return round_shift(high_mul(wrap(x << max(shift, 0), 32), multiplier), max(-shift, 0))


def wrap(x: Array, bits: int) -> Array:
    """The lowest bits as a signed number."""
    half = 1 << (bits - 1)
    wrapped: Array = (x + half) % (2 * half) - half
    return wrapped


def high_mul16(x: Array, multiplier: int) -> Array:
    """:func:`high_mul` in 16 bits."""
    product: Array = (x * multiplier + (1 << 14)) >> 15
    return product


def round_shift16(x: Array, bits: int) -> Array:
    """:func:`round_shift` of 16-bit numbers, with what the reference's 16-bit masks give for 16 bits and more."""
    mask = wrap(np.asarray((1 << bits) - 1, np.int64), 16)
    shifted: Array = (x >> bits) + ((x & mask) > (mask >> 1) + (x < 0))
    return shifted


def saturate16(x: Array) -> Array:
    """x within the limits of int16."""
    return np.clip(x, -(1 << 15), (1 << 15) - 1)


def round_half_away(x: Array) -> Array:
    """Floats rounded to whole numbers as C's round() does."""
    rounded: Array = np.copysign(np.floor(np.abs(x.astype(np.float64)) + 0.5), x)
    return rounded
