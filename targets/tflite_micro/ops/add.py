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
    shapes_broadcast,
)
from targets.tflite_micro.ops.common import activation_range, known_activation, quantize_multiplier
from targets.tflite_micro.ops.fixed_point import high_mul, round_shift
from targets.tflite_micro.ops.lut import byte_call, every_value

#: The reference adds in steps of 2^-20 of twice the larger scale.
_LEFT_SHIFT = 20


@dataclasses.dataclass(frozen=True)
class Sum:
    """Multipliers of the reference: (multiplier, right shift) of both operands and of their sum."""

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
    """The arithmetic of an operator."""
    a, b, out = operands(op, graph)
    (factor_a, shift_a), (factor_b, shift_b), (factor, shift) = map(quantize_multiplier, _multipliers(a, b, out))
    return Sum(
        (factor_a, -shift_a),
        (factor_b * _sign(op), -shift_b),
        (factor, -shift),
        (a.zero_point, b.zero_point, out.zero_point),
        activation_range(op, out),
    )


def _multipliers(a: Tensor, b: Tensor, out: Tensor) -> tuple[float, float, float]:
    twice = 2 * max(a.scale, b.scale)
    return a.scale / twice, b.scale / twice, twice / ((1 << _LEFT_SHIFT) * out.scale)


def _sign(op: Op) -> int:
    return -1 if op.kind == "SUB" else 1


def scale_not_tiny(op: Op, graph: Graph) -> str:
    """The output's scale is more than 2^-19 of the larger scale of the operands."""
    a, b, out = operands(op, graph)
    return "" if _multipliers(a, b, out)[2] < 1 else f"{out.scale:g} beside {max(a.scale, b.scale):g}"


def lower(op: Op, graph: Graph, variant: Variant) -> Call:
    """A table where one operand is a single constant; else a formula that equals the reference's, else that one."""
    a, b, out = operands(op, graph)
    arithmetic = sum_of(op, graph)
    if one_constant(op, graph):
        values_a, values_b = (_values(tensor) for tensor in (a, b))
        return byte_call(b if a.constant else a, out, arithmetic(values_a, values_b))
    low, high = arithmetic.limits
    values_a, values_b = (grid.ravel() for grid in np.meshgrid(_values(a), _values(b), indexing="ij"))
    slope_a, slope_b = a.scale / out.scale, _sign(op) * b.scale / out.scale
    offset = out.zero_point + 0.5 - slope_a * a.zero_point - slope_b * b.zero_point
    pairs = Pairs(values_a, values_b, arithmetic(values_a, values_b), arithmetic.limits)
    found = find_affine((slope_a, slope_b), offset, pairs)
    if found is None:
        return _exact_call(op, graph, arithmetic)
    params = {**dataclasses.asdict(found), "act_min": low, "act_max": high}
    return binary_call(op, graph, limited("ew_add", arithmetic.limits, variant), params, "ew_add.c")


def _values(tensor: Tensor) -> Array:
    """Every value that an operand can have."""
    return every_value() if tensor.data is None else np.unique(tensor.data).astype(np.int64)


def _exact_call(op: Op, graph: Graph, arithmetic: Sum) -> Call:
    (zero_a, zero_b, out_zero), (low, high) = arithmetic.zeros, arithmetic.limits
    params = {
        "multiplier_a": arithmetic.a[0], "multiplier_b": arithmetic.b[0], "multiplier": arithmetic.out[0],
        "zero_a": zero_a, "zero_b": zero_b, "out_zero": out_zero,
        "shift_a": arithmetic.a[1], "shift_b": arithmetic.b[1], "shift": arithmetic.out[1],
        "act_min": low, "act_max": high,
    }  # fmt: skip
    return binary_call(op, graph, ("ew_add_exact", "ew_add_exact"), params, "ew_add.c")


_CONSTRAINTS = (int8_operands, shapes_broadcast, known_activation, scale_not_tiny)
RULES = tuple(Rule(kind, _CONSTRAINTS, lower) for kind in ("ADD", "SUB"))
