"""A float ONNX graph against the graph that was quantized from it, node by node; shared by backends that use ONNX."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from profiles.runner import Arrays
from targets.base import LayerError
from targets.layer_errors import compare
from targets.onnx_tools import load_onnx
from targets.onnx_watch import float_tensors, watch


def node_errors(before: Path, after: Path, samples: Iterable[Arrays]) -> list[LayerError]:
    """One row per node output of the float graph that the quantized graph still has; both run unfused.

    Args:
        before: the float file that was quantized.
        after: the quantized file; its float part may be float16.
        samples: canonical inputs.
    """
    kept = list(samples)
    source = load_onnx(before)
    ops = {output: node.op_type for node in source.graph.node for output in node.output}
    seen = counterparts(float_tensors(source), float_tensors(load_onnx(after), half=True))
    quantized = _renamed(watch(after, dict.fromkeys(seen.values()), kept), seen)
    rows = compare(watch(before, seen, kept), quantized, {name: ops[name] for name in seen})
    names = {output: name for node in source.graph.node for output, name in _output_names(node)}
    return [dataclasses.replace(row, name=names[row.name]) for row in rows]


def _output_names(node: Any) -> Iterator[tuple[str, str]]:
    """Every output of a node with the node's name, and its number where it is not the first."""
    for number, output in enumerate(node.output):
        yield output, (f"{node.name}:{number}" if number else node.name) if node.name else output


def counterparts(before: Iterable[str], after: Iterable[str]) -> dict[str, str]:
    """Float tensor to the tensor of the Q/DQ graph that stands for it: after its Q/DQ pair where it has one.

    A ReLU may be gone from the Q/DQ graph, its clipping done by the unsigned range of the pair.
    """
    present = set(after)
    pairs = {name: f"{name}_DequantizeLinear_Output" for name in before}
    return {name: pair if pair in present else name for name, pair in pairs.items() if {pair, name} & present}


def _renamed(stream: Iterable[Arrays], names: Mapping[str, str]) -> Iterator[Arrays]:
    return ({name: sample[other] for name, other in names.items()} for sample in stream)
