"""A float graph as it will look once it is quantized: same shapes, int8 in place of float32.

``support`` answers before anything is quantized; scales do not exist yet, sizes and operators do.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from targets.tflite_micro.graph.ir import Graph, Op, Quantization, Tensor

#: Operators with weights and a bias: places of the weights, of the bias, and the axis of the weights' scales.
_WEIGHTED = {
    "CONV_2D": (1, 2, 0),
    "DEPTHWISE_CONV_2D": (1, 2, 3),
    "FULLY_CONNECTED": (1, 2, 0),
    "TRANSPOSE_CONV": (1, 3, 0),
}
#: Operators whose output scale TFLite fixes (8-bit quantization specification).
_FIXED = {"SOFTMAX": (1 / 256, -128), "LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}


def as_if_quantized(graph: Graph) -> Graph:
    """The graph with every float tensor imagined as int8; an integer graph comes back as it is."""
    if not any(tensor.dtype == "float32" for tensor in graph.tensors.values()):
        return graph
    tensors = {key: _plain(tensor) for key, tensor in graph.tensors.items()}
    for op in graph.ops:
        _set_constants(op, tensors)
        if op.kind in _FIXED:
            scale, zero = _FIXED[op.kind]
            key = op.outputs[0]
            tensors[key] = dataclasses.replace(tensors[key], quantization=Quantization((scale,), (zero,)))
    return dataclasses.replace(graph, tensors=tensors)


def _plain(tensor: Tensor) -> Tensor:
    if tensor.dtype != "float32":
        return tensor
    data = None if tensor.data is None else np.zeros(tensor.shape, np.int8)
    return dataclasses.replace(tensor, dtype="int8", data=data, quantization=Quantization((1.0,), (0,)))


def _set_constants(op: Op, tensors: dict[int, Tensor]) -> None:
    """Weights with one scale per channel; a bias in 32 bits."""
    if op.kind not in _WEIGHTED:
        return
    weights, bias, axis = _WEIGHTED[op.kind]
    key = op.inputs[weights]
    shape = tensors[key].shape
    if tensors[key].constant and op.kind != "FULLY_CONNECTED" and len(shape) == 4:
        scales = Quantization((1.0,) * shape[axis], (0,) * shape[axis], axis)
        tensors[key] = dataclasses.replace(tensors[key], quantization=scales)
    if len(op.inputs) > bias and op.inputs[bias] >= 0 and tensors[op.inputs[bias]].constant:
        old = tensors[op.inputs[bias]]
        tensors[old.index] = dataclasses.replace(old, dtype="int32", data=np.zeros(old.shape, np.int32))
