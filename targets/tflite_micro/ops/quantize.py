"""QUANTIZE and DEQUANTIZE: between float32, int8 and uint8."""

from __future__ import annotations

import numpy as np

from targets.tflite_micro.calls import Call, In, Out, Rule, Variant
from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.ops.activations import same_shape
from targets.tflite_micro.ops.broadcast import usual_scales
from targets.tflite_micro.ops.common import quantize_multiplier
from targets.tflite_micro.ops.fixed_point import requantize
from targets.tflite_micro.ops.lut import byte_call, every_value

_BYTES = ("int8", "uint8")


def quantize_types(op: Op, graph: Graph) -> str:
    """QUANTIZE turns float32 into int8, or int8 and uint8 into one another or into other scales."""
    source, result = _ends(op, graph)
    fine = result.dtype == "int8" if source.dtype == "float32" else {source.dtype, result.dtype} <= set(_BYTES)
    return "" if fine else f"{source.dtype} to {result.dtype}"


def dequantize_types(op: Op, graph: Graph) -> str:
    """DEQUANTIZE turns int8 into float32."""
    source, result = _ends(op, graph)
    return "" if (source.dtype, result.dtype) == ("int8", "float32") else f"{source.dtype} to {result.dtype}"


def one_scale(op: Op, graph: Graph) -> str:
    """Tensors of bytes have one scale."""
    for tensor in _ends(op, graph):
        if tensor.dtype != "float32" and not (tensor.quantization and tensor.quantization.per_tensor):
            return f"{len(tensor.quantization.scale) if tensor.quantization else 0} scales in '{tensor.name}'"
    return ""


def ratio_fits(op: Op, graph: Graph) -> str:
    """QUANTIZE's scale of input bytes is less than 2^23 of the output's scale."""
    source, result = _ends(op, graph)
    fine = source.dtype == "float32" or source.scale < result.scale * (1 << 23)
    return "" if fine else f"{source.scale:g} beside {result.scale:g}"


def _ends(op: Op, graph: Graph) -> tuple[Tensor, Tensor]:
    source = graph.ins(op)[0]
    assert source is not None
    return source, graph.outs(op)[0]


def lower_quantize(op: Op, graph: Graph, variant: Variant) -> Call:
    """A table, or a division where the input is float32."""
    source, result = _ends(op, graph)
    if source.dtype == "float32":
        return _float_call("ew_quantize", source, result, result, overlap=True)
    steps = every_value(source.dtype) - source.zero_point
    values = requantize(steps, *quantize_multiplier(source.scale / result.scale)) + result.zero_point
    limits = np.iinfo(result.dtype)
    return byte_call(source, result, np.clip(values, limits.min, limits.max))


def lower_dequantize(op: Op, graph: Graph, variant: Variant) -> Call:
    """A product in float32."""
    source, result = _ends(op, graph)
    return _float_call("ew_dequantize", source, result, source, overlap=False)


def _float_call(function: str, source: Tensor, result: Tensor, bytes_of: Tensor, overlap: bool) -> Call:
    return Call(
        function,
        {"count": result.elements, "scale": bytes_of.scale, "zero": bytes_of.zero_point},
        (In(source.index), Out(result.index)),
        overlap={source.index: 0} if overlap and not source.constant else {},
        sources=("ew_quantize.c",),
    )


RULES = (
    Rule("QUANTIZE", (quantize_types, one_scale, usual_scales, same_shape, ratio_fits), lower_quantize),
    Rule("DEQUANTIZE", (dequantize_types, one_scale, usual_scales, same_shape), lower_dequantize),
)
