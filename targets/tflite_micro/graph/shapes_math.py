"""Shapes of dense, element-wise, reducing and recurrent operators."""

from __future__ import annotations

import math

from targets.tflite_micro.graph.ir import Graph, Op
from targets.tflite_micro.graph.parameters import UNARY, Shape, axis, data, ints, positive
from targets.tflite_micro.graph.verify import Malformed


def unary(op: Op, graph: Graph) -> list[Shape]:
    """One input, an output of the same shape."""
    shape = data(op, graph, 0).shape
    if op.kind in ("SOFTMAX", "LOG_SOFTMAX") and not shape:
        raise Malformed(f"{op.kind} {op.index} of a scalar")
    return [shape]


def binary(op: Op, graph: Graph) -> list[Shape]:
    """Two inputs, aligned at the last axis, of which axes of 1 are repeated."""
    return [_broadcast(op, data(op, graph, 0).shape, data(op, graph, 1).shape)]


def prelu(op: Op, graph: Graph) -> list[Shape]:
    """The slopes are repeated to the shape of the input."""
    shape = data(op, graph, 0).shape
    if _broadcast(op, shape, data(op, graph, 1).shape) != shape:
        raise Malformed(f"PRELU {op.index} has slopes {data(op, graph, 1).shape} for an input {shape}")
    return [shape]


def dense(op: Op, graph: Graph) -> list[Shape]:
    """FULLY_CONNECTED: the input as rows of as many elements as the weights' last axis."""
    image, weights = data(op, graph, 0), data(op, graph, 1)
    if len(weights.shape) != 2 or image.elements % max(weights.shape[1], 1) or 0 in weights.shape:
        raise Malformed(f"FULLY_CONNECTED {op.index} has weights {weights.shape} for an input {image.shape}")
    units, depth = weights.shape
    bias = graph.ins(op)[2] if len(op.inputs) > 2 else None
    if bias is not None and bias.elements != units:
        raise Malformed(f"FULLY_CONNECTED {op.index} has {bias.elements} biases for {units} units")
    if op.options.get("weights_format", "default") != "default":
        raise Malformed(f"FULLY_CONNECTED {op.index} has the weights format {op.options['weights_format']}")
    if not op.options.get("keep_num_dims"):
        return [(image.elements // depth, units)]
    if image.shape[-1:] != (depth,):
        raise Malformed(f"FULLY_CONNECTED {op.index} keeps the axes of {image.shape} with weights {weights.shape}")
    return [(*image.shape[:-1], units)]


def reduce(op: Op, graph: Graph) -> list[Shape]:
    """MEAN and the other reductions, over the axes in a constant."""
    shape = data(op, graph, 0).shape
    axes = {axis(op, value, len(shape)) for value in ints(op, graph, 1)}
    if op.options.get("keep_dims"):
        return [tuple(1 if place in axes else size for place, size in enumerate(shape))]
    return [tuple(size for place, size in enumerate(shape) if place not in axes)]


def lstm(op: Op, graph: Graph) -> list[Shape]:
    """UNIDIRECTIONAL_SEQUENCE_LSTM: input (batch, time, depth), or (time, batch, depth) when time_major.

    Inputs 1-4 are weights of the input, 5-8 of the last output, 9-11 peepholes, 12-15 biases, 16-17 the
    projection, 18 and 19 the states, 20-23 layer normalisation; each for input, forget, cell and output gate.
    """
    shape = data(op, graph, 0).shape
    if len(shape) != 3 or len(data(op, graph, 2).shape) != 2 or len(data(op, graph, 6).shape) != 2:
        raise Malformed(f"{op.kind} {op.index} has an input of shape {shape}")
    batch = shape[1 if op.options.get("time_major") else 0]
    cells, units = data(op, graph, 2).shape[0], data(op, graph, 6).shape[1]
    wanted: dict[int, Shape] = {
        **dict.fromkeys(range(1, 5), (cells, shape[2])),
        **dict.fromkeys(range(5, 9), (cells, units)),
        **dict.fromkeys((*range(9, 16), *range(20, 24)), (cells,)),
        16: (units, cells), 17: (units,), 18: (batch, units), 19: (batch, cells),
    }  # fmt: skip
    for place, tensor in enumerate(graph.ins(op)):
        if tensor is not None and place and tensor.shape != wanted[place]:
            raise Malformed(f"{op.kind} {op.index} has input {place} of {tensor.shape}, not {wanted[place]}")
    if op.inputs[16] < 0 and cells != units:
        raise Malformed(f"{op.kind} {op.index} has {cells} cells, {units} units and no projection")
    if (op.inputs[1] < 0) != (op.inputs[5] < 0):
        raise Malformed(f"{op.kind} {op.index} has half of an input gate")
    return [(*shape[:2], units)]


def svdf(op: Op, graph: Graph) -> list[Shape]:
    """SVDF: input (batch, depth), weights (filters, depth) and (filters, memory), bias, and the state.

    There are ``rank`` filters for each unit.
    """
    shape, depth_weights, time_weights = (data(op, graph, place).shape for place in range(3))
    if not len(shape) == len(depth_weights) == len(time_weights) == 2:
        raise Malformed(f"SVDF {op.index} has weights {depth_weights} and {time_weights} for an input {shape}")
    filters, memory = time_weights
    units, rest = divmod(filters, positive(op, "rank"))
    bias, state = graph.ins(op)[3], data(op, graph, 4).shape
    wrong = depth_weights != (filters, shape[1]) or rest or state != (shape[0], filters * memory)
    if wrong or (bias is not None and bias.shape != (units,)):
        raise Malformed(f"SVDF {op.index} has {filters} filters, weights {depth_weights}, a state of {state}")
    return [(shape[0], units)]


def _broadcast(op: Op, first: Shape, second: Shape) -> Shape:
    rank = max(len(first), len(second))
    pairs = list(zip((1,) * (rank - len(first)) + first, (1,) * (rank - len(second)) + second, strict=True))
    if any(a != b and 1 not in (a, b) for a, b in pairs):
        raise Malformed(f"{op.kind} {op.index} has inputs of shapes {first} and {second}")
    shape = tuple(max(pair) for pair in pairs)
    if 0 in first or 0 in second or math.prod(shape) >= 1 << 31:
        raise Malformed(f"{op.kind} {op.index} has inputs of shapes {first} and {second}")
    return shape


INFER = {
    **dict.fromkeys(UNARY, unary),
    **dict.fromkeys(["ADD", "SUB", "MUL", "DIV", "MINIMUM", "MAXIMUM", "SQUARED_DIFFERENCE"], binary),
    **dict.fromkeys(["MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"], reduce),
    "PRELU": prelu,
    "FULLY_CONNECTED": dense,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm,
    "SVDF": svdf,
}
