"""Activations of int8 tensors: limits, tables of 256 bytes, and PRELU."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.calls import Call, Constraint, Rule, Value, Variant, option
from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.ops import tables
from targets.tflite_micro.ops.broadcast import binary_call, int8_operands, operands, shapes_broadcast, usual_scales
from targets.tflite_micro.ops.common import int8_activations, quantize_multiplier
from targets.tflite_micro.ops.fixed_point import requantize
from targets.tflite_micro.ops.lut import byte_call, every_value
from targets.tflite_micro.ops.mul import rounded_product

#: All 256 results of an operator.
Table = Callable[[Op, Tensor, Tensor], Array]
_LIMITS = {"RELU": (0.0, math.inf), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0), "RELU_0_TO_1": (0.0, 1.0)}
#: The reference shifts a difference of two bytes, and loses bits beyond this.
_MAX_RATIO = 1 << 23
#: Left shifts with which a difference, and a product of two, stay within 32 bits.
_MAX_LIFTS = (21, 14)


def same_shape(op: Op, graph: Graph) -> str:
    """The output has as many elements as the input."""
    source, result = _ends(op, graph)
    return "" if source.elements == result.elements else f"{source.shape} to {result.shape}"


def ratio_fits(op: Op, graph: Graph) -> str:
    """The input's scale, times LEAKY_RELU's alpha, is less than 2^23 of the output's scale."""
    source, result = _ends(op, graph)
    most = max(tables.ratio(source, result, slope) for slope in (1.0, abs(option(op, "alpha", 1.0))))
    return "" if most < _MAX_RATIO else f"{most:g}"


def logistic_output(op: Op, graph: Graph) -> str:
    """LOGISTIC's output has scale 1/256."""
    result = graph.outs(op)[0]
    return "" if result.scale == 1 / 256 else f"{result.scale:g}"


def hard_swish_shrinks(op: Op, graph: Graph) -> str:
    """HARD_SWISH's output scale is more than 1/128 of the input scale."""
    source, result = _ends(op, graph)
    (_, shift), _ = tables.hard_swish_multipliers(source, result)
    return "" if shift <= 0 else f"{result.scale:g} beside {source.scale:g}"


def exp_fits(op: Op, graph: Graph) -> str:
    """EXP's largest result is less than 2^31 steps of the output."""
    source, result = _ends(op, graph)
    largest = source.scale * (127 - source.zero_point)
    bits = largest / math.log(2) - math.log2(result.scale)
    return "" if bits < 30.9 else f"exp({largest:g}) in steps of {result.scale:g}"


def _ends(op: Op, graph: Graph) -> tuple[Tensor, Tensor]:
    source = graph.ins(op)[0]
    assert source is not None
    return source, graph.outs(op)[0]


def _relu(op: Op, source: Tensor, result: Tensor) -> Array:
    return tables.relu(source, result, _LIMITS[op.kind])


def _gelu(op: Op, source: Tensor, result: Tensor) -> Array:
    function = tables.gelu_approximate if option(op, "approximate", False) else tables.gelu
    return tables.sampled(source, result, function)


def _log(op: Op, source: Tensor, result: Tensor) -> Array:
    lowest = np.float32(-128 - result.zero_point) * np.float32(result.scale)
    return tables.sampled(source, result, tables.log_above(float(lowest)))


def _sampled(function: tables.Real) -> Table:
    return lambda op, source, result: tables.sampled(source, result, function)


_TABLES: dict[str, tuple[Table, tuple[Constraint, ...]]] = {
    **dict.fromkeys(_LIMITS, (_relu, (ratio_fits,))),
    "LEAKY_RELU": (
        lambda op, source, result: tables.leaky_relu(source, result, option(op, "alpha", 0.0)),
        (ratio_fits,),
    ),
    "HARD_SWISH": (lambda op, source, result: tables.hard_swish(source, result), (hard_swish_shrinks,)),
    "LOGISTIC": (_sampled(tables.logistic), (logistic_output,)),
    "TANH": (_sampled(tables.tanh), ()),
    "GELU": (_gelu, ()),
    "EXP": (_sampled(tables.exp), (exp_fits,)),
    "LOG": (_log, ()),
    "ABS": (lambda op, source, result: tables.absolute(source, result), (ratio_fits,)),
    "SQRT": (lambda op, source, result: tables.square_root(source, result), ()),
}


def lower_table(op: Op, graph: Graph, variant: Variant) -> Call:
    """A function of one byte."""
    source, result = _ends(op, graph)
    return byte_call(source, result, _TABLES[op.kind][0](op, source, result))


def _prelu_multipliers(op: Op, graph: Graph) -> tuple[tuple[int, int], tuple[int, int]]:
    """For d at or above 0, and below; the reference computes both ratios in float32."""
    source, alpha, result = operands(op, graph)
    scale, out = np.float32(source.scale), np.float32(result.scale)
    return quantize_multiplier(float(scale / out)), quantize_multiplier(float(scale * np.float32(alpha.scale) / out))


def prelu_scales(op: Op, graph: Graph) -> str:
    """PRELU's input scale is less than 2^21, and times alpha's scale less than 2^14, of the output's scale."""
    shifts = tuple(shift for _, shift in _prelu_multipliers(op, graph))
    return "" if all(s <= most for s, most in zip(shifts, _MAX_LIFTS, strict=True)) else f"shifts of {shifts}"


def alpha_fits(op: Op, graph: Graph) -> str:
    """PRELU's alpha is broadcast to the shape of the input, not the input to that of alpha."""
    source, alpha, result = operands(op, graph)
    return "" if source.elements == result.elements else f"{source.shape} and {alpha.shape}"


def lower_prelu(op: Op, graph: Graph, variant: Variant) -> Call:
    """A table where alpha is a single constant, else a product for inputs below zero."""
    source, alpha, result = operands(op, graph)
    above, below = _prelu_multipliers(op, graph)
    if alpha.data is not None and alpha.elements == 1:
        d = every_value() - source.zero_point
        product = requantize(d * (int(alpha.data.ravel()[0]) - alpha.zero_point), *below)
        values = np.where(d >= 0, requantize(d, *above), product) + result.zero_point
        return byte_call(source, result, np.clip(values, -128, 127))
    sides = [rounded_product(*side, result.zero_point) for side in (above, below)]
    params: dict[str, Value] = {name: (sides[0][name], sides[1][name]) for name in sides[0]}
    params.update(zero_in=source.zero_point, zero_alpha=alpha.zero_point)
    return binary_call("ew_prelu", (source, alpha), result, params)


_PRELU = (int8_operands, usual_scales, shapes_broadcast, alpha_fits, prelu_scales)
RULES = (
    *(
        Rule(kind, (int8_activations, usual_scales, same_shape, *more), lower_table)
        for kind, (_, more) in _TABLES.items()
    ),
    Rule("PRELU", _PRELU, lower_prelu),
)
