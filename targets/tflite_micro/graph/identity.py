"""Operators that change nothing, or only the shape: removed, or written as RESHAPE, which costs nothing.

Every RESHAPE, SQUEEZE and EXPAND_DIMS becomes a RESHAPE with one input. What remains of them is
aliased by :mod:`~targets.tflite_micro.graph.alias`.
"""

from __future__ import annotations

from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.graph.parameters import Unchecked, ints, slice_ranges
from targets.tflite_micro.graph.rewrite import bypass, fixed, replaced, writers

_SHAPES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
#: Operators that only move elements: where the input is, by kind.
_MOVES = {
    **dict.fromkeys(("TRANSPOSE", "SLICE", "STRIDED_SLICE", "PAD", "PADV2", "MIRROR_PAD"), 0),
    **dict.fromkeys(("CONCATENATION", "PACK", "UNPACK", "SPLIT_V"), 0),
    "SPLIT": 1,
}


def as_reshapes(graph: Graph) -> Graph:
    """Write operators that keep the order of all elements as RESHAPE, each from the tensor before all others."""
    made: dict[int, Op] = {}
    roots: dict[int, int] = {}
    for op in graph.ops:
        if op.kind in _SHAPES or _keeps_order(op, graph):
            source = op.inputs[_MOVES.get(op.kind, 0)]
            if not graph.tensor(source).variable:
                source = roots[op.outputs[0]] = roots.get(source, source)
            made[op.index] = Op(op.index, "RESHAPE", (source,), op.outputs)
    return replaced(graph, made)


def drop_identities(graph: Graph) -> Graph:
    """Remove reshapes to the same shape, conversions to the same scale and back, activations that clip nothing."""
    return bypass(graph, [op for op in graph.ops if _changes_nothing(op, graph)])


def drop_round_trips(graph: Graph) -> Graph:
    """Remove a DEQUANTIZE and the QUANTIZE after it when the scale and the zero point are the same."""
    written, made = writers(graph), {}
    for op in graph.ops:
        before = written.get(op.inputs[0]) if op.kind == "QUANTIZE" else None
        if before is not None and before.kind == "DEQUANTIZE":
            source, out = graph.tensor(before.inputs[0]), graph.outs(op)[0]
            if _same(source, out) and not source.variable and _moderate(source):
                made[op.index] = Op(op.index, "RESHAPE", (source.index,), op.outputs)
    return replaced(graph, made)


def _moderate(tensor: Tensor) -> bool:
    """Whether all steps times the scale are normal float32 numbers, so that dividing gives the steps back."""
    return 1e-30 < tensor.scale < 1e30


def _same(one: Tensor, other: Tensor) -> bool:
    quantized = one.quantization is not None and one.quantization.per_tensor
    return quantized and (one.dtype, one.quantization) == (other.dtype, other.quantization) and one.dtype == "int8"


def _changes_nothing(op: Op, graph: Graph) -> bool:
    source = graph.tensor(op.inputs[0]) if op.inputs and op.inputs[0] >= 0 else None
    if source is None or len(op.outputs) != 1 or source.variable:
        return False
    out = graph.outs(op)[0]
    if (source.shape, source.dtype) != (out.shape, out.dtype) or out.variable:
        return False
    if op.kind == "RESHAPE":
        return source.quantization == out.quantization
    if op.kind == "QUANTIZE":
        return _same(source, out)
    return op.kind == "RELU" and _same(source, out) and source.zero_point == -128


def _keeps_order(op: Op, graph: Graph) -> bool:
    """Whether an operator that moves elements leaves all of them, in their order, with their scale."""
    if op.kind not in _MOVES or len(op.outputs) != 1 or op.options.get("fused_activation_function", "none") != "none":
        return False
    source, out = graph.tensor(op.inputs[_MOVES[op.kind]]), graph.outs(op)[0]
    if (source.elements, source.dtype, source.quantization) != (out.elements, out.dtype, out.quantization):
        return False
    if source.variable or fixed(source) or (op.kind in ("CONCATENATION", "PACK") and len(op.inputs) != 1):
        return False
    try:
        if op.kind == "TRANSPOSE":
            order = [place for place in ints(op, graph, 1) if source.shape[place] > 1]
            return order == sorted(order)
        return "SLICE" not in op.kind or all(step == 1 or count == 1 for _, step, count in slice_ranges(op, graph))
    except Unchecked:
        return False
