"""MUL of int8 tensors."""

from __future__ import annotations

import numpy as np

from targets.tflite_micro.calls import Call, Rule, Value, Variant
from targets.tflite_micro.graph.ir import Graph, Op
from targets.tflite_micro.ops.broadcast import (
    binary_call,
    int8_operands,
    limited,
    one_constant,
    operands,
    ordered,
    shapes_broadcast,
    usual_scales,
)
from targets.tflite_micro.ops.common import activation_range, known_activation, quantize_multiplier
from targets.tflite_micro.ops.fixed_point import requantize
from targets.tflite_micro.ops.lut import byte_call, every_value

#: A product of two differences has 16 bits and a sign: more lift than this leaves 32 bits.
_MAX_LEFT_SHIFT = 14
#: A product of 17 bits is 0 after this right shift, as after any longer one.
MAX_RIGHT_SHIFT = 22


def rounded_product(multiplier: int, shift: int, out_zero: int) -> dict[str, int]:
    """Members of ew_mul.h for a multiplier of the reference, without those that hold the operands' zero points."""
    right = min(max(-shift, 0), MAX_RIGHT_SHIFT)
    half = 1 << (right - 1) if right else 0
    return {
        "multiplier": multiplier,
        "lift": 2 << max(shift, 0),
        "offset": half + (out_zero << right),
        "shift": right,
        "tie": -1 if right else 0,
    }


def _multiplier(op: Op, graph: Graph) -> tuple[int, int]:
    """The reference computes the ratio in float32."""
    a, b, out = operands(op, graph)
    return quantize_multiplier(float(np.float32(a.scale) * np.float32(b.scale) / np.float32(out.scale)))


def scale_not_tiny(op: Op, graph: Graph) -> str:
    """The product of the operands' scales is less than 2^14 of the output's scale."""
    multiplier, shift = _multiplier(op, graph)
    return "" if shift <= _MAX_LEFT_SHIFT else f"2^{shift - 31} * {multiplier}"


def lower(op: Op, graph: Graph, variant: Variant) -> Call:
    """A table where one operand is a single constant, else a product."""
    a, b, out = operands(op, graph)
    limits = activation_range(op, out)
    multiplier, shift = _multiplier(op, graph)
    if one_constant(op, graph):
        x, y = (every_value() if t.data is None else t.data.ravel().astype(np.int64) for t in (a, b))
        product = requantize((x - a.zero_point) * (y - b.zero_point), multiplier, shift)
        return byte_call(b if a.constant else a, out, np.clip(product + out.zero_point, *limits))
    first, second = ordered(op, graph)
    rounded = rounded_product(multiplier, shift, out.zero_point)
    params: dict[str, Value] = {
        **rounded,
        "add_a": -first.zero_point * rounded["lift"],
        "add_b": -second.zero_point,
        "act_min": limits[0],
        "act_max": limits[1],
    }
    return binary_call(pair=(first, second), out=out, params=params, **limited("ew_mul", limits, variant))


_CONSTRAINTS = (int8_operands, usual_scales, shapes_broadcast, known_activation, scale_not_tiny)
RULES = (Rule("MUL", _CONSTRAINTS, lower),)
