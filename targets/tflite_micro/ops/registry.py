"""All operators, and the way from a graph to kernel calls."""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Iterator, Mapping

from profiles.errors import UnsupportedError
from targets.tflite_micro.calls import Call, Rule, Variant
from targets.tflite_micro.graph.alias import without_aliases
from targets.tflite_micro.graph.ir import Graph, Op

#: Modules of this package that export ``RULES``.
FAMILIES = (
    "conv", "depthwise", "dense", "transpose_conv", "lstm", "svdf",
    "copy", "table", "add", "mul", "minmax", "activations", "softmax", "quantize",
    "pool", "mean", "pad", "concat", "slices", "transpose", "resize", "shape_only",
)  # fmt: skip


@functools.cache
def rules() -> Mapping[str, Rule]:
    """Every rule by the kind of operator."""
    modules = [importlib.import_module(f"targets.tflite_micro.ops.{name}") for name in FAMILIES]
    return {rule.kind: rule for module in modules for rule in module.RULES}


def obstacle(op: Op, graph: Graph) -> str:
    """What stops this operator: the first constraint that does not hold, in words, and what was seen; or ""."""
    rule = rules().get(op.kind)
    if rule is None:
        return f"no kernel for it; the guide lists the {len(rules())} operators that have one (docs/guide/cortex-m.md)"
    for constraint in rule.constraints:
        seen = constraint(op, graph)
        if seen:
            return f"{(constraint.__doc__ or '').strip()} Seen: {seen}."
    return ""


def lower(graph: Graph, variant: Variant) -> tuple[Call, ...]:
    """Every operator as kernel calls, in order.

    Raises:
        UnsupportedError: an operator cannot be built.
    """
    return tuple(call for op in without_aliases(graph) for call in _calls(op, graph, variant))


def _calls(op: Op, graph: Graph, variant: Variant) -> Iterator[Call]:
    problem = obstacle(op, graph)
    if problem:
        raise UnsupportedError(f"{op.kind} '{graph.name_of(op)}' cannot be built for a microcontroller", seen=problem)
    made = rules()[op.kind].lower(op, graph, variant)
    for call in made if isinstance(made, tuple) else (made,):
        yield dataclasses.replace(call, op=call.op or op.kind, name=call.name or graph.name_of(op))
