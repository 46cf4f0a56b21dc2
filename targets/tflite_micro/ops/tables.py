"""All 256 results of the reference's functions of one int8 value, bit for bit.

Integer functions follow the reference's fixed-point arithmetic. For the others the reference makes a table itself,
with the C library's float functions, whose last bit differs between libraries: the same functions are called here.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.graph.ir import Tensor
from targets.tflite_micro.ops.common import quantize_multiplier
from targets.tflite_micro.ops.fixed_point import (
    high_mul16,
    requantize,
    round_half_away,
    round_shift16,
    saturate16,
    wrap,
)
from targets.tflite_micro.ops.lut import every_value

#: A function of float32 arrays.
Real = Callable[[Array], Array]
_EXACT: dict[str, Callable[[float], float]] = {"expf": np.exp, "tanhf": math.tanh, "logf": math.log, "erfcf": math.erfc}


def sampled(source: Tensor, result: Tensor, function: Real) -> Array:
    """A real function of every value (LUTPopulate): float32 throughout, halves away from zero."""
    reals = np.float32(source.scale) * (every_value() - source.zero_point).astype(np.float32)
    with np.errstate(over="ignore"):
        steps = (function(reals) * (np.float32(1) / np.float32(result.scale))).astype(np.float32)
        steps = round_half_away(steps).astype(np.float32) + np.float32(result.zero_point)
    return _int8(np.clip(steps, -256, 256).astype(np.int64))


def logistic(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    return np.float32(1) / (np.float32(1) + exp(-x))


def exp(x: Array) -> Array:
    """exp(x)."""
    return _each("expf", x)


def tanh(x: Array) -> Array:
    """tanh(x)."""
    return _each("tanhf", x)


def gelu(x: Array) -> Array:
    """x / 2 * erfc(-x / sqrt(2))."""
    return np.float32(0.5) * x * _each("erfcf", x * np.float32(-math.sqrt(0.5)))


def gelu_approximate(x: Array) -> Array:
    """x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))."""
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
    return np.float32(0.5) * x * (np.float32(1) + tanh(inner))


def log_above(lowest: float) -> Real:
    """log(x), ``lowest`` where x is not positive."""
    return lambda x: np.where(x > 0, _each("logf", np.where(x > 0, x, np.float32(1))), np.float32(lowest))


def square_root(source: Tensor, result: Tensor) -> Array:
    """SQRT: cut off, not rounded. Negative inputs, at which the reference stops, give the zero point."""
    reals = np.float32(source.scale) * np.maximum(every_value() - source.zero_point, 0).astype(np.float32)
    return _int8((np.sqrt(reals) / np.float32(result.scale)).astype(np.int64) + result.zero_point)


def leaky_relu(source: Tensor, result: Tensor, alpha: float) -> Array:
    """LEAKY_RELU; a negative alpha is applied as its magnitude, then negated."""
    d = every_value() - source.zero_point
    slope = ratio(source, result, alpha)
    below = requantize(d, *quantize_multiplier(abs(slope))) * (1 if slope >= 0 else -1)
    return _int8(np.where(d >= 0, _scaled(d, source, result), below) + result.zero_point)


def absolute(source: Tensor, result: Tensor) -> Array:
    """ABS."""
    return _int8(_scaled(np.abs(every_value() - source.zero_point), source, result) + result.zero_point)


def relu(source: Tensor, result: Tensor, limits: tuple[float, float]) -> Array:
    """RELU and its relatives: the output's scale, within limits that are rounded to its steps in float32."""
    steps = _scaled(every_value() - source.zero_point, source, result)
    low, high = round_half_away(np.asarray(limits, np.float32) / np.float32(result.scale)) + result.zero_point
    return _int8(np.clip(steps + result.zero_point, max(low, -128), min(high, 127)).astype(np.int64))


def ratio(source: Tensor, result: Tensor, slope: float = 1.0) -> float:
    """The input's scale, times a slope, in steps of the output's, in float32 as the reference computes it."""
    with np.errstate(over="ignore"):
        return float(np.float32(source.scale) * np.float32(slope) / np.float32(result.scale))


def hard_swish_multipliers(source: Tensor, result: Tensor) -> tuple[tuple[int, int], tuple[int, int]]:
    """HARD_SWISH's 16-bit multipliers and shifts: to the output's scale, and to that where 3.0 is 32768."""
    fine = np.float32(1 / 128) * np.float32(source.scale)
    reals = (fine / np.float32(result.scale), fine / (np.float32(3) / np.float32(32768)))
    (out, out_shift), (relu, relu_shift) = (quantize_multiplier(float(real)) for real in reals)
    return (min((out + (1 << 15)) >> 16, 32767), out_shift), (min((relu + (1 << 15)) >> 16, 32767), relu_shift)


def hard_swish(source: Tensor, result: Tensor) -> Array:
    """HARD_SWISH: x * clamp(x / 6 + 1 / 2, 0, 1), in 16 bits."""
    (out, out_shift), (relu, shift) = hard_swish_multipliers(source, result)
    fine = wrap((every_value() - source.zero_point) << 7, 16)
    gate = high_mul16(saturate16(fine << max(shift - 1, 0)), relu)
    gate = saturate16(gate << 1) if shift > 0 else round_shift16(gate, -shift) if shift < 0 else gate
    product = ((gate + (1 << 15)) >> 1) * high_mul16(fine, out)
    cut = np.sign(product) * (np.abs(product) >> 15)
    return _int8(round_shift16(cut, -out_shift) + result.zero_point)


def _scaled(steps: Array, source: Tensor, result: Tensor) -> Array:
    """Steps of the input as steps of the output."""
    return requantize(steps, *quantize_multiplier(ratio(source, result)))


def _int8(values: Array) -> Array:
    limited: Array = np.clip(values, -128, 127)
    return limited


def _each(name: str, x: Array) -> Array:
    function = _c_function(name)
    with np.errstate(over="ignore"):
        return np.array([function(float(value)) for value in x], np.float32)


@functools.cache
def _c_function(name: str) -> Callable[[float], float]:
    """A float function of the C library, or its correctly rounded result where that cannot be had."""
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return _EXACT[name]
    function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
    return lambda value: float(function(value))
