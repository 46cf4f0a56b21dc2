"""ADD and SUB of int8 tensors."""

from __future__ import annotations

import dataclasses

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.calls import Call, Rule, Variant
from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.ops.affine import Pairs, find_affine
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
from targets.tflite_micro.ops.fixed_point import high_mul, round_shift
from targets.tflite_micro.ops.lut import byte_call, every_value

#: The reference adds in steps of 2^-20 of twice the larger scale.
_LEFT_SHIFT = 20


@dataclasses.dataclass(frozen=True)
class Sum:
    """The reference's arithmetic: (multiplier, right shift) of both operands, in order, and of their sum."""

    a: tuple[int, int]
    b: tuple[int, int]
    out: tuple[int, int]
    zeros: tuple[int, int, int]
    limits: tuple[int, int]

    def __call__(self, a: Array, b: Array) -> Array:
        """What the reference computes of two arrays of int8 values."""
        term_a = _scaled((a - self.zeros[0]) << _LEFT_SHIFT, self.a)
        term_b = _scaled((b - self.zeros[1]) << _LEFT_SHIFT, self.b)
        result: Array = np.clip(_scaled(term_a + term_b, self.out) + self.zeros[2], *self.limits)
        return result


def _scaled(x: Array, multiplier: tuple[int, int]) -> Array:
    return round_shift(high_mul(x, multiplier[0]), multiplier[1])


def sum_of(op: Op, graph: Graph) -> Sum:
    """The arithmetic of an operator, for its ordered operands."""
    (first, second), out = ordered(op, graph), graph.outs(op)[0]
    ratios = map(quantize_multiplier, _multipliers(first, second, out))
    (factor_a, shift_a), (factor_b, shift_b), (factor, shift) = ratios
    sign_a, sign_b = _signs(op, graph)
    return Sum(
        (sign_a * factor_a, -shift_a),
        (sign_b * factor_b, -shift_b),
        (factor, -shift),
        (first.zero_point, second.zero_point, out.zero_point),
        activation_range(op, out),
    )


def _multipliers(a: Tensor, b: Tensor, out: Tensor) -> tuple[float, float, float]:
    twice = 2 * max(a.scale, b.scale)
    return a.scale / twice, b.scale / twice, twice / ((1 << _LEFT_SHIFT) * out.scale)


def _signs(op: Op, graph: Graph) -> tuple[int, int]:
    """Of the ordered operands."""
    if op.kind == "ADD":
        return 1, 1
    return (1, -1) if ordered(op, graph)[0] is graph.ins(op)[0] else (-1, 1)


def scale_not_tiny(op: Op, graph: Graph) -> str:
    """The output's scale is more than 2^-19 of the larger scale of the operands."""
    a, b, out = operands(op, graph)
    return "" if _multipliers(a, b, out)[2] < 1 else f"{out.scale:g} beside {max(a.scale, b.scale):g}"


def lower(op: Op, graph: Graph, variant: Variant) -> Call:
    """A table where one operand is a single constant; else a formula that equals the reference's, else that one."""
    (first, second), out = ordered(op, graph), graph.outs(op)[0]
    arithmetic = sum_of(op, graph)
    if one_constant(op, graph):
        return byte_call(second if first.constant else first, out, arithmetic(_values(first), _values(second)))
    found = find_affine(*_line(op, graph), _pairs(first, second, arithmetic))
    if found is None:
        return _exact_call((first, second), out, arithmetic)
    limits = arithmetic.limits
    params = {**dataclasses.asdict(found), "act_min": limits[0], "act_max": limits[1]}
    return binary_call(pair=(first, second), out=out, params=params, **limited("ew_add", limits, variant))


def _line(op: Op, graph: Graph) -> tuple[tuple[float, float], float]:
    """The real function: its slopes along the ordered operands, and its offset, rounding included."""
    (first, second), out = ordered(op, graph), graph.outs(op)[0]
    signs = _signs(op, graph)
    slopes = signs[0] * first.scale / out.scale, signs[1] * second.scale / out.scale
    return slopes, out.zero_point + 0.5 - slopes[0] * first.zero_point - slopes[1] * second.zero_point


def _pairs(first: Tensor, second: Tensor, arithmetic: Sum) -> Pairs:
    a, b = (grid.ravel() for grid in np.meshgrid(_values(first), _values(second), indexing="ij"))
    return Pairs(a, b, arithmetic(a, b), arithmetic.limits)


def _values(tensor: Tensor) -> Array:
    """Every value that an operand can have."""
    return every_value() if tensor.data is None else np.unique(tensor.data).astype(np.int64)


def _exact_call(pair: tuple[Tensor, Tensor], out: Tensor, arithmetic: Sum) -> Call:
    (zero_a, zero_b, out_zero), (low, high) = arithmetic.zeros, arithmetic.limits
    params = {
        "multiplier_a": arithmetic.a[0], "multiplier_b": arithmetic.b[0], "multiplier": arithmetic.out[0],
        "zero_a": zero_a, "zero_b": zero_b, "out_zero": out_zero,
        "shift_a": arithmetic.a[1], "shift_b": arithmetic.b[1], "shift": arithmetic.out[1],
        "act_min": low, "act_max": high,
    }  # fmt: skip
    return binary_call("ew_add_exact", pair, out, params)


_CONSTRAINTS = (int8_operands, usual_scales, shapes_broadcast, known_activation, scale_not_tiny)
RULES = tuple(Rule(kind, _CONSTRAINTS, lower) for kind in ("ADD", "SUB"))
