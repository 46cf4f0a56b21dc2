"""Output shapes from input shapes, for every operator that can be built: what keeps generated C within bounds.

A file states the shape of every tensor. Where a stated shape is not what the operator gives, code that
trusts it would read or write outside of its arrays, so such a file is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from targets.tflite_micro.graph import shapes_blocks, shapes_layout, shapes_math, shapes_window
from targets.tflite_micro.graph.ir import Graph, Op
from targets.tflite_micro.graph.parameters import Shape, Unchecked
from targets.tflite_micro.graph.verify import Malformed

#: Output shapes of an operator by its kind; raises Malformed or Unchecked.
INFER: Mapping[str, Callable[[Op, Graph], list[Shape]]] = {
    **shapes_window.INFER,
    **shapes_math.INFER,
    **shapes_layout.INFER,
    **shapes_blocks.INFER,
}


def check(graph: Graph) -> None:
    """Compare the stated shapes with those that follow from the inputs.

    Operators of unknown kinds, and those with parameters that are not constant yet, pass: see :func:`unchecked`.

    Raises:
        Malformed: the first operator that disagrees.
    """
    for op in graph.ops:
        check_op(op, graph)


def check_op(op: Op, graph: Graph) -> None:
    """Compare the stated shapes of one operator's outputs. Errors as :func:`check`."""
    if op.kind not in INFER:
        return
    try:
        derived = INFER[op.kind](op, graph)
    except Unchecked:
        return
    stated = [tensor.shape for tensor in graph.outs(op)]
    if derived != stated:
        wanted, seen = (", ".join(map(str, shapes)) for shapes in (derived, stated))
        raise Malformed(f"{op.kind} '{graph.name_of(op)}' gives the shape {wanted}, and the file says {seen}")


def unchecked(op: Op, graph: Graph) -> str:
    """Why the shapes of an operator of a known kind cannot be derived; "" when they can. It must not be built."""
    try:
        INFER.get(op.kind, _nothing)(op, graph)
    except Unchecked as why:
        return str(why)
    return ""


def _nothing(op: Op, graph: Graph) -> list[Shape]:
    return []
