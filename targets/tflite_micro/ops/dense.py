"""FULLY_CONNECTED: constraints, and the call of ``ew_dense``."""

from __future__ import annotations

from typing import Any

from profiles.runner import Array
from targets.tflite_micro.calls import Call, Const, In, Out, Role, Rule, Scratch, Variant, option
from targets.tflite_micro.graph.ir import Graph, Op
from targets.tflite_micro.ops import pack, pack_dsp
from targets.tflite_micro.ops.common import activation_range, int8_activations, known_activation
from targets.tflite_micro.ops.requant import fold_bias, reach, real_multipliers, rounded_once
from targets.tflite_micro.ops.weights import bias_of, int8_weights, int32_bias, symmetric_weights, values_of, weights_of


def plain_weights(op: Op, graph: Graph) -> str:
    """Weights have the default format."""
    name = option(op, "weights_format", "default")
    return "" if name == "default" else str(name)


def matching_sizes(op: Op, graph: Graph) -> str:
    """The input is whole rows of as many values as the weights have, the output one row of outputs for each."""
    source, output, weights = graph.ins(op)[0], graph.outs(op)[0], weights_of(op, graph)
    assert source is not None
    out_c, in_c = weights.shape
    fits = source.elements % in_c == 0 and output.elements == source.elements // in_c * out_c
    return "" if fits else f"{source.shape} times {weights.shape} as {output.shape}"


def bounded_sums(op: Op, graph: Graph) -> str:
    """No output reaches 2^31 before it is limited to int8."""
    source, output, weights = graph.ins(op)[0], graph.outs(op)[0], weights_of(op, graph)
    assert source is not None and weights.data is not None
    low, high = reach(weights.data, _bias(op, graph))
    largest = float(max(-low.min(), high.max())) * max(_reals(op, graph))
    return "" if largest < 2**30 else f"{largest:.0f} in '{output.name}'"


def _bias(op: Op, graph: Graph) -> Array:
    source, weights = graph.ins(op)[0], weights_of(op, graph)
    assert source is not None and weights.data is not None
    return fold_bias(weights.data, values_of(bias_of(op, graph)), source.zero_point)


def _reals(op: Op, graph: Graph) -> list[float]:
    source, quantization = graph.ins(op)[0], weights_of(op, graph).quantization
    assert source is not None and quantization is not None
    return real_multipliers(source.scale, quantization.scale, graph.outs(op)[0].scale)


def lower(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_dense``."""
    source, output, weights = graph.ins(op)[0], graph.outs(op)[0], weights_of(op, graph)
    assert source is not None and weights.data is not None
    out_c, in_c = weights.shape
    bias, reals = _bias(op, graph), _reals(op, graph)
    low, high = activation_range(op, output)
    limits = low - output.zero_point, high - output.zero_point
    once = rounded_once(reals, *reach(weights.data, bias), limits)
    members: dict[str, Any] = {
        "in_c": in_c, "out_c": out_c, "batch": source.elements // in_c, "per_channel": int(len(reals) > 1),
        "out_zero": output.zero_point, "act_min": low, "act_max": high,
        "wide": int(variant == "dsp" and pack_dsp.is_wide(weights.data, long=False)), "fine": int(once.fine),
    }  # fmt: skip
    params = {
        "weights": Const(pack.dense(weights.data, variant), Role.WEIGHTS), "bias": Const(bias, Role.BIAS),
        "multiplier": Const(once.multiplier, Role.REQUANT), "shift": Const(once.shift, Role.REQUANT, align=1),
        **members,
    }  # fmt: skip
    return Call(
        "ew_dense", params, (In(source.index), Out(output.index), Scratch()),
        scratch=pack.dense_scratch(members, variant), sources=pack.SOURCES[variant]["ew_dense"],
        macs=output.elements * in_c,
    )  # fmt: skip


RULES = (
    Rule(
        "FULLY_CONNECTED",
        (
            int8_activations, known_activation, int8_weights, symmetric_weights, int32_bias, plain_weights,
            matching_sizes, bounded_sums,
        ),
        lower,
    ),
)  # fmt: skip
