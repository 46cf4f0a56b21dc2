"""What operators have in common: multipliers, activations, padding, and constraints that many share."""

from __future__ import annotations

import math

import numpy as np

from targets.tflite_micro.calls import one_int8, option
from targets.tflite_micro.graph.ir import Graph, Op, Tensor

INT8 = (-128, 127)


def quantize_multiplier(real: float) -> tuple[int, int]:
    """A real multiplier as (multiplier, shift): real = multiplier * 2^(shift - 31), multiplier in [2^30, 2^31).

    TFLite's QuantizeMultiplier: shifts below -31 become zero, above 30 saturate.
    """
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    if shift < -31:
        return 0, 0
    return ((1 << 31) - 1, 30) if shift > 30 else (multiplier, shift)


def activation_range(op: Op, output: Tensor) -> tuple[int, int]:
    """The int8 limits that a fused activation leaves (TFLite CalculateActivationRangeQuantized)."""
    low, high = INT8
    name = option(op, "fused_activation_function", "none")
    limits: dict[str, tuple[float | None, float | None]] = {
        "none": (None, None), "relu": (0.0, None), "relu6": (0.0, 6.0), "relu_n1_to_1": (-1.0, 1.0),
    }  # fmt: skip
    bottom, top = limits[name]
    if bottom is not None:
        low = max(low, _step(bottom, output))
    if top is not None:
        high = min(high, _step(top, output))
    return low, high


def _step(real: float, output: Tensor) -> int:
    """The step of a real value, as TFLite rounds it: half away from zero, in float32."""
    value = np.float32(real) / np.float32(output.scale)
    return output.zero_point + int(math.copysign(math.floor(abs(float(value)) + 0.5), float(value)))


def same_padding(size: int, kernel: int, stride: int, dilation: int, out: int) -> int:
    """Elements before the first one (TFLite ComputePadding): half of the total, the odd one goes behind."""
    return max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0) // 2


def out_size(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """The output size along one axis (TFLite ComputeOutSize)."""
    effective = (kernel - 1) * dilation + 1
    return -(-size // stride) if padding == "same" else -(-(size - effective + 1) // stride)


def int8_activations(op: Op, graph: Graph) -> str:
    """Activations are int8 with one scale per tensor."""
    for tensor in [*graph.ins(op)[:1], *graph.outs(op)]:
        if not one_int8(tensor):
            assert tensor is not None
            scales = len(tensor.quantization.scale) if tensor.quantization else 0
            return f"{tensor.dtype} with {scales} scales in '{tensor.name}'"
    return ""


def known_activation(op: Op, graph: Graph) -> str:
    """A fused activation is none, relu, relu6 or relu_n1_to_1."""
    name = option(op, "fused_activation_function", "none")
    return "" if name in ("none", "relu", "relu6", "relu_n1_to_1") else str(name)
