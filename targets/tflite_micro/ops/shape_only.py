"""RESHAPE, SQUEEZE, EXPAND_DIMS: the same bytes under another shape, copied where they cannot share memory."""

from __future__ import annotations

from targets.tflite_micro.calls import Call, Rule, Variant
from targets.tflite_micro.graph.ir import Graph, Op
from targets.tflite_micro.ops.moves import blank, move


def same_elements(op: Op, graph: Graph) -> str:
    """Input and output have the same type and number of elements."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    same = (source.dtype, source.elements) == (target.dtype, target.elements)
    return "" if same else f"{source.elements} of {source.dtype} to {target.elements} of {target.dtype}"


def lower_same_bytes(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_copy``."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    return move(source, blank(source).reshape(-1), target, blank(target).reshape(-1))


RULES = tuple(Rule(kind, (same_elements,), lower_same_bytes) for kind in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"))
