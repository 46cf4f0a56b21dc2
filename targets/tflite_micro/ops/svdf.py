"""SVDF: constraints and the call of ``ew_svdf``.

Inputs by place, as in the schema: the input, feature weights (filters, in_c), time weights (filters, memory), the
bias (units, may be left out), the state (batch, memory * filters), a variable.
"""

from __future__ import annotations

import numpy as np

from targets.tflite_micro.calls import Call, Const, In, Out, Role, Rule, Scratch, Variant, one_int8, option
from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.ops.common import int8_activations, quantize_multiplier
from targets.tflite_micro.ops.fours import pack_fours

_BIAS = 3


def relu_or_none(op: Op, graph: Graph) -> str:
    """The activation is relu or none (the integer kernels of LiteRT and TFLM cut at zero in neither case)."""
    name = option(op, "fused_activation_function", "none")
    return "" if name in ("relu", "none") else str(name)


def integer_weights(op: Op, graph: Graph) -> str:
    """Feature weights are constant int8 and time weights constant int16, with one scale each and zero point 0."""
    feature, time = graph.ins(op)[1:3]
    if not one_int8(feature) or feature is None or not feature.constant or feature.zero_point:
        return "feature weights of another kind"
    if time is None or not time.constant or time.dtype != "int16" or not _symmetric(time):
        return f"{time.dtype} time weights" if time else "no time weights"
    bias = graph.ins(op)[_BIAS]
    return "" if bias is None or (bias.constant and bias.dtype == "int32") else f"a {bias.dtype} bias"


def sizes(op: Op, graph: Graph) -> str:
    """Batch, depth, units, rank and memory are at most 32767 each."""
    tensors = [graph.ins(op)[0], graph.ins(op)[2], graph.outs(op)[0]]
    largest = max(option(op, "rank"), *(max(tensor.shape) for tensor in tensors if tensor is not None))
    return f"{largest}" if largest > 32767 else ""


def int16_state(op: Op, graph: Graph) -> str:
    """The state is an int16 variable with one scale and zero point 0."""
    state = graph.ins(op)[4]
    if state is None or not state.variable or state.dtype != "int16" or not _symmetric(state):
        return f"{state.dtype} '{state.name}'" if state else "none"
    return ""


def _symmetric(tensor: Tensor) -> bool:
    return tensor.quantization is not None and tensor.quantization.per_tensor and not tensor.zero_point


def lower(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_svdf``."""
    source, feature, time, bias, state = graph.ins(op)
    output = graph.outs(op)[0]
    assert source is not None and feature is not None and time is not None and state is not None
    assert feature.data is not None and time.data is not None
    filters, memory = time.shape
    rows = np.pad(feature.data, ((0, -filters % 4), (0, 0)))
    to_state = quantize_multiplier(_ratio(source, feature, state))
    to_output = quantize_multiplier(_ratio(state, time, output))
    units, in_c = output.shape[1], source.shape[1]
    values = np.zeros(units, np.int32) if bias is None or bias.data is None else bias.data.reshape(-1)
    folded = (-source.zero_point * rows.sum(axis=1, dtype=np.int64)).astype(np.int32)
    params = {
        "feature": Const(pack_fours(rows.reshape(-1, 4, in_c), variant).reshape(-1), Role.WEIGHTS),
        "bias_feature": Const(folded, Role.BIAS),
        "time": Const(time.data.reshape(-1), Role.WEIGHTS), "bias": Const(values, Role.BIAS),
        "multiplier_feature": to_state[0], "multiplier_time": to_output[0],
        "batch": source.shape[0], "in_c": in_c, "units": units, "rank": option(op, "rank"), "memory": memory,
        "shift_feature": to_state[1], "shift_time": to_output[1], "out_zero": output.zero_point,
    }  # fmt: skip
    return Call(
        "ew_svdf", params, (In(source.index), Out(output.index), Out(state.index), Scratch()),
        scratch=-(-in_c // 4) * 4, overlap={source.index: -in_c} if source.shape[0] == 1 else {},
        sources=("ew_svdf.c", "ew_dot4.c"), macs=source.shape[0] * filters * (in_c + memory),
    )  # fmt: skip


def _ratio(one: Tensor, weights: Tensor, result: Tensor) -> float:
    """The real multiplier, in float32 as the reference computes it."""
    return float(np.float32(one.scale) * np.float32(weights.scale) / np.float32(result.scale))


RULES = (Rule("SVDF", (int8_activations, relu_or_none, integer_weights, sizes, int16_state), lower),)
