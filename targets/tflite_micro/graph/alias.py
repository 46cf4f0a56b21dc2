"""Reshapes without code: which tensors are the same memory under another shape."""

from __future__ import annotations

from targets.tflite_micro.graph.ir import Graph, Op
from targets.tflite_micro.graph.rewrite import fixed

#: Operators that change the shape only.
KINDS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


def aliases(graph: Graph) -> dict[int, int]:
    """Output of a reshape to the tensor whose memory it is; roots are not listed, and no root is listed.

    The planner gives both one place, alive as long as either; the emitter makes no code for an operator
    whose output is listed. An output of the graph that shares memory with an input of the graph, a variable (which
    may change while the other is in use) or a constant is not listed: such a reshape is a copy.
    """
    found: dict[int, int] = {}
    for op in graph.ops:
        if op.kind in KINDS and _shares(op, graph, found):
            found[op.outputs[0]] = found.get(op.inputs[0], op.inputs[0])
    return found


def without_aliases(graph: Graph) -> tuple[Op, ...]:
    """The operators that need code."""
    known = aliases(graph)
    return tuple(op for op in graph.ops if op.kind not in KINDS or op.outputs[0] not in known)


def _shares(op: Op, graph: Graph, found: dict[int, int]) -> bool:
    root = found.get(op.inputs[0], op.inputs[0])
    source, out = graph.tensor(root), graph.outs(op)[0]
    if (source.dtype, source.elements) != (out.dtype, out.elements) or source.variable or out.variable or fixed(source):
        return False
    return not (root in graph.inputs and out.index in graph.outputs)
