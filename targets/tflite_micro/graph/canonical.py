"""Operators that are another one in disguise, and faster as that."""

from __future__ import annotations

import dataclasses

from targets.tflite_micro.graph.ir import Graph, Op, Quantization, Tensor
from targets.tflite_micro.graph.rewrite import fixed


def as_convolutions(graph: Graph) -> Graph:
    """A DEPTHWISE_CONV_2D over one channel is a CONV_2D, with ``1HWC`` weights turned into ``OHWI`` ones.

    Keyword spotting networks begin with it (depth multiplier 8 on a spectrogram).
    """
    tensors, ops = dict(graph.tensors), []
    for op in graph.ops:
        weights = graph.ins(op)[1] if op.kind == "DEPTHWISE_CONV_2D" else None
        if weights is None or not _over_one_channel(op, graph, weights):
            ops.append(op)
            continue
        turned = _turned(weights, max(tensors) + 1)
        tensors[turned.index] = turned
        options = {name: value for name, value in op.options.items() if name != "depth_multiplier"}
        inputs = (op.inputs[0], turned.index, *op.inputs[2:])
        ops.append(dataclasses.replace(op, kind="CONV_2D", inputs=inputs, options=options))
    return dataclasses.replace(graph, tensors=tensors, ops=tuple(ops))


def _over_one_channel(op: Op, graph: Graph, weights: Tensor) -> bool:
    image = graph.ins(op)[0]
    plain = fixed(weights) and len(weights.shape) == 4 and weights.shape[0] == 1 and weights.quantization is not None
    return bool(plain and image is not None and len(image.shape) == 4 and image.shape[3] == 1)


def _turned(weights: Tensor, index: int) -> Tensor:
    assert weights.data is not None and weights.quantization is not None
    data = weights.data.transpose(3, 1, 2, 0)
    scales = Quantization(weights.quantization.scale, weights.quantization.zero_point, 0)
    return dataclasses.replace(weights, index=index, shape=data.shape, data=data, quantization=scales)
