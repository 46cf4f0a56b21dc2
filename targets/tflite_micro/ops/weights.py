"""What CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED allow of their weights and biases, and how they are read."""

from __future__ import annotations

from profiles.runner import Array
from targets.tflite_micro.graph.ir import Graph, Op, Tensor

#: Members of ``ew_conv_t`` are 16 bits wide.
LARGEST = 32767


def weights_of(op: Op, graph: Graph) -> Tensor:
    """The weights, which :func:`int8_weights` has seen."""
    weights = graph.ins(op)[1]
    assert weights is not None
    return weights


def bias_of(op: Op, graph: Graph) -> Tensor | None:
    """The bias, None where there is none."""
    return graph.ins(op)[2] if len(op.inputs) > 2 else None


def values_of(tensor: Tensor | None) -> Array | None:
    """The values of a constant that may be left out."""
    return None if tensor is None else tensor.data


def channel_axis(op: Op) -> int:
    """The axis of the weights that counts output channels."""
    return 3 if op.kind == "DEPTHWISE_CONV_2D" else 0


def int8_weights(op: Op, graph: Graph) -> str:
    """Weights are constant int8 with a scale per tensor or per output channel."""
    weights = graph.ins(op)[1] if len(op.inputs) > 1 else None
    if weights is None or not weights.constant or weights.dtype != "int8" or weights.quantization is None:
        return "no weights" if weights is None else f"{weights.dtype} '{weights.name}', or one without values or scale"
    axis, scales = channel_axis(op), len(weights.quantization.scale)
    if len(weights.shape) != (2 if op.kind == "FULLY_CONNECTED" else 4):
        return f"weights of shape {weights.shape}"
    if scales not in (1, weights.shape[axis]) or (scales > 1 and weights.quantization.axis != axis):
        return f"{scales} scales along axis {weights.quantization.axis} of {weights.shape}"
    return ""


def symmetric_weights(op: Op, graph: Graph) -> str:
    """The zero point of the weights is 0."""
    quantization = weights_of(op, graph).quantization
    assert quantization is not None
    others = [point for point in quantization.zero_point if point]
    return f"a zero point of {others[0]}" if others else ""


def int32_bias(op: Op, graph: Graph) -> str:
    """The bias is constant int32 with one value per output channel, or left out."""
    bias = bias_of(op, graph)
    channels = weights_of(op, graph).shape[channel_axis(op)]
    if bias is None or (bias.constant and bias.dtype == "int32" and bias.elements == channels):
        return ""
    return f"{bias.dtype} {bias.shape} in '{bias.name}' for {channels} channels"
