"""Averages over whole planes, by their name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from targets.onnx_shapes import declared_shape

Shape = tuple[int | str, ...] | None


def name_global_pools(model: Any) -> int:
    """Call an AveragePool whose one window is its whole input a GlobalAveragePool; they compute the same.

    Quantizers treat the two differently. ONNX Runtime's takes an AveragePool for an operator that moves values and
    keeps its input's scale; the average of a plane has a much smaller range than the plane, so that most of the 8 bits
    are lost. A GlobalAveragePool gets a scale of its own. TensorRT-RTX fuses only the latter with its neighbours.

    Args:
        model: an ``onnx.ModelProto`` with known shapes; its main graph is changed in place.

    Returns:
        How many were renamed.
    """
    graph = model.graph
    shapes = {value.name: declared_shape(value) for value in (*graph.value_info, *graph.input, *graph.output)}
    found = [node for node in graph.node if node.op_type == "AveragePool" and _takes_all(node, shapes)]
    for node in found:
        node.op_type = "GlobalAveragePool"
        del node.attribute[:]
    return len(found)


def _takes_all(node: Any, shapes: Mapping[str, Shape]) -> bool:
    """Whether the one window of a pool is its whole input, without padding."""
    given = {each.name: each for each in node.attribute}
    padded = "pads" in given and any(given["pads"].ints)
    padded |= "auto_pad" in given and given["auto_pad"].s not in (b"NOTSET", b"VALID")
    source, result = shapes.get(node.input[0]), shapes.get(node.output[0])
    if padded or source is None or result is None:
        return False
    return tuple(given["kernel_shape"].ints) == source[2:] and set(result[2:]) == {1}
