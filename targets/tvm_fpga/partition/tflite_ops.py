"""TFLite's operators in ONNX, on real values; what is not here is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from profiles.errors import UnsupportedError
from profiles.runner import Array
from targets.tflite_file import TfliteTensor, tflite_schema
from targets.tvm_fpga.partition.tflite import TO_NCHW, TO_NHWC, OnnxGraph, TfliteCall


def _activated(graph: OnnxGraph, call: TfliteCall, value: str) -> None:
    """The fused activation, and the result."""
    kinds = tflite_schema().ActivationFunctionType
    fused = getattr(call.options, "fusedActivationFunction", kinds.NONE)
    bounds = {kinds.RELU: (0.0, None), kinds.RELU6: (0.0, 6.0), kinds.RELU_N1_TO_1: (-1.0, 1.0)}
    if fused in bounds:
        value = _clipped(graph, value, *bounds[fused])
    elif fused != kinds.NONE:
        raise UnsupportedError(f"{call.kind} with the fused activation {fused}", allowed="relu, relu6, relu -1 to 1")
    graph.finish(call.out, value)


def _clipped(graph: OnnxGraph, value: str, low: float, high: float | None) -> str:
    if high is None:
        return graph.node("Relu", value)
    return graph.node("Clip", value, *(graph.constant(np.float32(bound)) for bound in (low, high)))


def _conv(graph: OnnxGraph, call: TfliteCall) -> None:
    depthwise = call.kind == "DEPTHWISE_CONV_2D"
    weights, source = call.input(1), call.input(0)
    values = graph.numbers(weights)
    moved = values.transpose(3, 0, 1, 2) if depthwise else values.transpose(TO_NCHW)
    options = call.options
    stride, dilation = (options.strideH, options.strideW), (options.dilationHFactor, options.dilationWFactor)
    inputs = [graph.value(source), graph.real(moved, weights, 0), *_bias(graph, call)]
    value = graph.node(
        "Conv",
        *inputs,
        name=call.out.name,
        strides=stride,
        dilations=dilation,
        pads=_pads(graph, call, moved.shape[2:]),
        group=source.shape[3] // moved.shape[1],
    )
    _activated(graph, call, value)


def _bias(graph: OnnxGraph, call: TfliteCall) -> list[str]:
    """Of scale input * weights, which files may round."""
    if len(call.inputs) < 3 or call.inputs[2] is None:
        return []
    bias, weights = call.input(2), call.input(1)
    stored = graph.numbers(bias)
    if bias.dtype != "int32":
        raise UnsupportedError(f"{call.kind} with a bias of {bias.dtype}", allowed="int32")
    scale = tuple(call.input(0).scale[0] * each for each in weights.scale)
    return [graph.real(stored, dataclasses.replace(bias, scale=scale, zero_point=(0,) * len(scale)))]


def _pads(graph: OnnxGraph, call: TfliteCall, kernel: tuple[int, ...]) -> tuple[int, ...]:
    """Top, left, bottom, right."""
    options, shape = call.options, call.input(0).shape
    before = graph.pads.get(graph.value(call.input(0)), (0, 0, 0, 0))
    if options.padding != tflite_schema().Padding.SAME:
        return before
    if any(before):
        raise UnsupportedError(f"{call.kind} with SAME padding of a padded tensor", allowed="VALID")
    steps = (options.strideH, options.strideW)
    reach = [
        (size - 1) * getattr(options, name, 1) + 1
        for size, name in zip(kernel, ("dilationHFactor", "dilationWFactor"), strict=True)
    ]
    total = [
        max((-(-size // step) - 1) * step + need - size, 0)
        for size, step, need in zip(shape[1:3], steps, reach, strict=True)
    ]
    return total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2


def _dense(graph: OnnxGraph, call: TfliteCall) -> None:
    source, weights = call.input(0), call.input(1)
    values = graph.numbers(weights)
    value = graph.value(source)
    if value in graph.before_flattening:
        values = _channel_first(values, graph.before_flattening[value])
    elif len(source.shape) != 2:
        value, values = _flat(graph, source, values)
    inputs = [value, graph.real(values, weights, 0), *_bias(graph, call)]
    _activated(graph, call, graph.node("Gemm", *inputs, name=call.out.name, transB=1))


def _flat(graph: OnnxGraph, source: TfliteTensor, values: Array) -> tuple[str, Array]:
    """An image that a dense layer takes as it is."""
    shape = graph.constant(np.array([1, -1]))
    value = graph.node("Reshape", graph.value(source), shape)
    return value, _channel_first(values, source.shape) if len(source.shape) == 4 else values


def _channel_first(values: Array, shape: tuple[int, ...]) -> Array:
    """Columns of a dense layer's weights, for an input that was flattened as NCHW."""
    return values.reshape(len(values), *shape[1:]).transpose(TO_NCHW).reshape(len(values), -1)


def _reshape(graph: OnnxGraph, call: TfliteCall) -> None:
    source, out = call.input(0), call.out
    value = graph.value(source)
    readers = [each.kind for each in graph.operators if source and out in each.inputs]
    image = len(source.shape) == 4 and source.shape[1] * source.shape[2] > 1
    to_dense = len(out.shape) == 2 and bool(readers) and set(readers) == {"FULLY_CONNECTED"}
    if image and not to_dense:
        value = graph.node("Transpose", value, perm=TO_NHWC)
    value = graph.node("Reshape", value, graph.constant(np.array(out.shape)), name=out.name)
    if len(out.shape) == 4:
        value = graph.node("Transpose", value, perm=TO_NCHW)
    graph.finish(out, value)
    if image and to_dense:
        graph.before_flattening[graph.value(out)] = source.shape


def _pool(graph: OnnxGraph, call: TfliteCall) -> None:
    options = call.options
    kernel = (options.filterHeight, options.filterWidth)
    pads = _pads(graph, call, kernel)
    kind = "AveragePool" if call.kind == "AVERAGE_POOL_2D" else "MaxPool"
    value = graph.node(
        kind, graph.value(call.input(0)), name=call.out.name, kernel_shape=kernel,
        strides=(options.strideH, options.strideW), pads=pads,
    )  # fmt: skip
    _activated(graph, call, value)


def _mean(graph: OnnxGraph, call: TfliteCall) -> None:
    source = call.input(0)
    axes = [int(axis) % len(source.shape) for axis in graph.numbers(call.input(1)).reshape(-1)]
    moved = [TO_NCHW.index(axis) if len(source.shape) == 4 else axis for axis in axes]
    value = graph.node(
        "ReduceMean", graph.value(source), graph.constant(np.array(sorted(moved))), name=call.out.name,
        keepdims=int(call.options.keepDims),
    )  # fmt: skip
    if len(source.shape) == 4 and not call.options.keepDims and sorted(axes) != [1, 2]:
        raise UnsupportedError("MEAN", seen=f"axes {axes}", allowed="rows and columns, or kept dimensions")
    graph.finish(call.out, value)


def _add(graph: OnnxGraph, call: TfliteCall) -> None:
    value = graph.node("Add", *(graph.value(call.input(number)) for number in (0, 1)), name=call.out.name)
    _activated(graph, call, value)


def _concat(graph: OnnxGraph, call: TfliteCall) -> None:
    rank = len(call.out.shape)
    axis = call.options.axis % rank
    inputs = [graph.value(call.input(number)) for number in range(len(call.inputs))]
    moved = TO_NCHW.index(axis) if rank == 4 else axis
    _activated(graph, call, graph.node("Concat", *inputs, name=call.out.name, axis=moved))


def _pad(graph: OnnxGraph, call: TfliteCall) -> None:
    """Left to the convolution that follows."""
    source, out = call.input(0), call.out
    amounts = graph.numbers(call.input(1)).astype(int).tolist()
    readers = [each for each in graph.operators if out in each.inputs]
    plain = len(amounts) == 4 and not any((*amounts[0], *amounts[3]))
    if not plain or not readers or any(each.kind not in _CONVOLUTIONS for each in readers):
        raise UnsupportedError("PAD", seen=str(amounts), allowed="rows and columns before a convolution")
    value = graph.node("Identity", graph.value(source), name=out.name)
    graph.pads[value] = (amounts[1][0], amounts[2][0], amounts[1][1], amounts[2][1])
    graph.values[out.index] = value


_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def _plain(kind: str, **attributes: int) -> Callable[[OnnxGraph, TfliteCall], None]:
    """An operator of one input that works on every number alone, or along the last axis."""

    def write(graph: OnnxGraph, call: TfliteCall) -> None:
        if kind == "Softmax" and (len(call.out.shape) != 2 or call.options.beta != 1.0):
            raise UnsupportedError("SOFTMAX", seen=f"shape {call.out.shape}", allowed="two axes, beta 1")
        graph.finish(call.out, graph.node(kind, graph.value(call.input(0)), name=call.out.name, **attributes))

    return write


def _relu6(graph: OnnxGraph, call: TfliteCall) -> None:
    graph.finish(call.out, _clipped(graph, graph.value(call.input(0)), 0.0, 6.0))


WRITERS: dict[str, Callable[[OnnxGraph, TfliteCall], None]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _conv,
    "FULLY_CONNECTED": _dense,
    "RESHAPE": _reshape,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "MEAN": _mean,
    "ADD": _add,
    "CONCATENATION": _concat,
    "PAD": _pad,
    "RELU": _plain("Relu"),
    "RELU6": _relu6,
    "LOGISTIC": _plain("Sigmoid"),
    "TANH": _plain("Tanh"),
    "SOFTMAX": _plain("Softmax", axis=-1),
    "QUANTIZE": _plain("Identity"),
    "DEQUANTIZE": _plain("Identity"),
}
