"""COPY, which :mod:`~targets.tflite_micro.graph.variables` puts where a model keeps state."""

from __future__ import annotations

from targets.tflite_micro.calls import Call, In, Out, Rule, Variant
from targets.tflite_micro.graph.ir import Graph, Op


def same_bytes(op: Op, graph: Graph) -> str:
    """Input and output have one type and as many elements."""
    source, target = graph.ins(op)[0], graph.outs(op)[0]
    assert source is not None
    same = (source.dtype, source.elements) == (target.dtype, target.elements)
    return "" if same else f"{source.dtype} {source.shape} to {target.dtype} {target.shape}"


def lower(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_copy_bytes``."""
    count = graph.outs(op)[0].bytes
    return Call(
        "ew_copy_bytes", {"count": count}, (In(op.inputs[0]), Out(op.outputs[0])),
        sources=("ew_copy_bytes.c",),
    )  # fmt: skip


RULES = (Rule("COPY", (same_bytes,), lower),)
