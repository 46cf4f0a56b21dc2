"""Nodes in the order that ONNX demands: producers first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from targets.onnx_tools import all_graphs


def in_order(graph: Any) -> None:
    """Sort a graph's nodes so that each comes after those whose outputs it reads; otherwise as they were (stable)."""
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    nodes = list(graph.node)
    done: set[int] = set()
    order: list[int] = []
    for start in range(len(nodes)):
        stack = [start]
        while stack:
            index = stack[-1]
            missing = [makers[name] for name in _reads(nodes[index]) if name in makers and makers[name] not in done]
            if index not in done and missing:
                stack.extend(reversed(missing))
                continue
            stack.pop()
            if index not in done:
                done.add(index)
                order.append(index)
    copies = [_copy(nodes[index]) for index in order]
    del graph.node[:]
    graph.node.extend(copies)


def _reads(node: Any) -> Iterator[str]:
    """Everything that a node reads, inside its branches and loop bodies too."""
    yield from node.input
    for given in node.attribute:
        for body in (*([given.g] if given.HasField("g") else []), *given.graphs):
            for graph in all_graphs(body):
                for inner in graph.node:
                    yield from inner.input


def _copy(node: Any) -> Any:
    copy = type(node)()
    copy.CopyFrom(node)
    return copy
