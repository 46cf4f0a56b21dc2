"""What graph passes have in common: who reads and writes a tensor, removing operators, dropping what is unused."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping

from targets.tflite_micro.graph.ir import Graph, Op, Tensor

#: Operators that are there for what they do, not for their outputs.
_EFFECTS = ("ASSIGN_VARIABLE", "CALL_ONCE")


def fixed(tensor: Tensor | None) -> bool:
    """Whether a tensor has the same values in every inference; a variable may have a first value, and has not."""
    return tensor is not None and tensor.constant


def readers(graph: Graph) -> dict[int, list[Op]]:
    """The operators that read each tensor, each once, in order."""
    found: dict[int, list[Op]] = {key: [] for key in graph.tensors}
    for op in graph.ops:
        for key in set(op.inputs) - {-1}:
            found[key].append(op)
    return found


def writers(graph: Graph) -> dict[int, Op]:
    """The operator that computes each tensor."""
    return {key: op for op in graph.ops for key in op.outputs}


def replaced(graph: Graph, by: Mapping[int, Op]) -> Graph:
    """The graph with operators exchanged for others, by index."""
    return dataclasses.replace(graph, ops=tuple(by.get(op.index, op) for op in graph.ops)) if by else graph


def bypass(graph: Graph, ops: Collection[Op]) -> Graph:
    """The graph without operators whose one output equals their first input: readers read the input instead.

    An operator stays where its output is one of the graph's and its input cannot be instead: an input of
    the graph, a constant, a variable, or another output.
    """
    names: dict[int, int] = {}
    tensors, outputs = dict(graph.tensors), list(graph.outputs)
    computed = writers(graph)
    gone = set()
    for op in sorted(ops, key=lambda op: op.index):
        source, target = names.get(op.inputs[0], op.inputs[0]), op.outputs[0]
        if target in outputs:
            if source not in computed or source in outputs or tensors[source].variable:
                continue
            outputs = [source if key == target else key for key in outputs]
            tensors[source] = dataclasses.replace(tensors[source], name=tensors[target].name)
        names[target] = source
        gone.add(op.index)
    kept = [op for op in graph.ops if op.index not in gone]
    return dataclasses.replace(graph, tensors=tensors, ops=renamed(kept, names), outputs=tuple(outputs))


def renamed(ops: Iterable[Op], names: Mapping[int, int]) -> tuple[Op, ...]:
    """Operators that read other tensors instead."""
    made = []
    for op in ops:
        inputs = tuple(names.get(key, key) for key in op.inputs)
        made.append(op if inputs == op.inputs else dataclasses.replace(op, inputs=inputs))
    return tuple(made)


def live(graph: Graph) -> Graph:
    """The graph without operators whose results nobody reads, and without tensors that nobody names."""
    needed, kept = set(graph.outputs), []
    for op in reversed(graph.ops):
        state = any(graph.tensor(key).variable for key in (*op.inputs, *op.outputs) if key >= 0)
        if state or op.kind in _EFFECTS or not op.outputs or not needed.isdisjoint(op.outputs):
            kept.append(op)
            needed.update(op.inputs)
    for op in kept:
        needed.update(op.outputs, op.options.get("intermediates", ()))
    needed.update(graph.inputs)
    tensors = {key: tensor for key, tensor in graph.tensors.items() if key in needed}
    return dataclasses.replace(graph, tensors=tensors, ops=tuple(reversed(kept)))
