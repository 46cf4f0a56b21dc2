"""SOFTMAX of int8 tensors along the last axis."""

from __future__ import annotations

import math

from targets.tflite_micro.calls import Call, In, Out, Rule, Variant, option
from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.ops.activations import same_shape
from targets.tflite_micro.ops.broadcast import usual_scales
from targets.tflite_micro.ops.common import int8_activations

#: Fraction bits of the exponential's argument; it has 5 integer bits.
_FRACTION_BITS = 26
#: The reference stops at a sum of 512 exponentials of 0.
_MAX_DEPTH = 511


def softmax_output(op: Op, graph: Graph) -> str:
    """SOFTMAX's output has scale 1/256 and zero point -128."""
    result = graph.outs(op)[0]
    near = abs(result.scale * 256 - 1) <= 0.001
    return "" if near and result.zero_point == -128 else f"{result.scale:g} and {result.zero_point}"


def depth_fits(op: Op, graph: Graph) -> str:
    """SOFTMAX's last axis has at most 511 elements."""
    source = _source(op, graph)
    return "" if source.shape and source.shape[-1] <= _MAX_DEPTH else f"the shape {source.shape}"


def argument_fits(op: Op, graph: Graph) -> str:
    """SOFTMAX's input scale times beta is more than 2^-26."""
    real = _multiplier(op, graph)
    return "" if real > 1 else f"{real / (1 << _FRACTION_BITS):g}"


def _source(op: Op, graph: Graph) -> Tensor:
    source = graph.ins(op)[0]
    assert source is not None
    return source


def _multiplier(op: Op, graph: Graph) -> float:
    """From a step of the input to one of the exponential's argument (PreprocessSoftmaxScaling)."""
    real = float(option(op, "beta", 1.0)) * _source(op, graph).scale * (1 << _FRACTION_BITS)
    return min(real, (1 << 31) - 1.0)


def lower(op: Op, graph: Graph, variant: Variant) -> Call:
    """The same code for all variants."""
    source, result = _source(op, graph), graph.outs(op)[0]
    multiplier, shift = _fixed_point(_multiplier(op, graph))
    depth = source.shape[-1]
    params = {
        "multiplier": multiplier,
        "rows": source.elements // depth,
        "depth": depth,
        "diff_min": max(-math.floor(31 * (1 << _FRACTION_BITS) / (1 << shift)), -256),
        "shift": shift,
    }
    return Call(
        "ew_softmax",
        params,
        (In(source.index), Out(result.index)),
        overlap={} if source.constant else {source.index: 0},
        sources=("ew_softmax.c",),
    )


def _fixed_point(real: float) -> tuple[int, int]:
    """A real above 1 as (multiplier, shift): real = multiplier * 2^(shift - 31), shift up to 31."""
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    return (multiplier // 2, shift + 1) if multiplier == 1 << 31 else (multiplier, shift)


_CONSTRAINTS = (int8_activations, usual_scales, same_shape, softmax_output, depth_fits, argument_fits)
RULES = (Rule("SOFTMAX", _CONSTRAINTS, lower),)
