"""Scales of Q/DQ pairs that stay exact in fp16.

A scale below fp16's normal numbers, 6.1e-5, loses digits when it is cast; int8 weights have one as soon as a channel's
largest weight is below 0.0078. Such scales are rounded up to an fp16 number here, and the integers behind them follow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from profiles.runner import Array
from targets.onnx_layers import attribute
from targets.onnx_tools import constant_values, onnx_package, weights
from targets.tensorrt.formats.number_formats import FP16_NORMAL, fp16_scale

QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


def fit_scales(model: Any) -> None:
    """Round float32 scales below fp16's normal numbers up to fp16 numbers, and requantize constants to them."""
    constants = dict(weights(model))
    nodes = [node for node in model.graph.node if node.op_type in QUANTIZERS]
    ratios: dict[str, Array] = {}
    for name in {node.input[1] for node in nodes} & set(constants):
        tensor = constants[name]
        if tensor.data_type == tensor.FLOAT:
            old = constant_values(tensor)
            new = np.where(old < FP16_NORMAL, fp16_scale(old), old)
            if old.ndim <= 1 and (new != old).any():
                ratios[name] = old.astype(np.float64) / new
                _replace(tensor, new.astype(np.float32))
    for stored in {node.input[0] for node in nodes} & set(constants):
        users = [node for node in nodes if node.input[0] == stored]
        if users[0].input[1] in ratios and len({node.input[1] for node in users}) == 1:
            _requantize(constants[stored], ratios[users[0].input[1]], users[0])


def _requantize(tensor: Any, ratio: Array, node: Any) -> None:
    """Integers for the new scale; ``ratio`` is old scale over new, at most 1. Zero points are 0 in TensorRT."""
    values = constant_values(tensor)
    if values.dtype not in (np.int8, np.int32):
        return
    shape = [1] * values.ndim
    if ratio.ndim == 1 and values.ndim:
        shape[attribute(node, "axis", 1)] = -1
    _replace(tensor, np.rint(values * ratio.reshape(shape)).astype(values.dtype))


def _replace(tensor: Any, values: Array) -> None:
    tensor.CopyFrom(onnx_package().numpy_helper.from_array(values, tensor.name))
