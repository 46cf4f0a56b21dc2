"""A read-only view of an ONNX graph, with the questions that the rules of placement ask."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

from targets.onnx_tools import dtype_name, onnx_package

#: Operators with weights, or with two activations that are multiplied: they hold a network's arithmetic.
WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})


@dataclasses.dataclass(frozen=True)
class Node:
    """One node of the main graph; ``name`` is never empty, ``op`` names the domain unless it is ONNX's own."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    index: int

    def attribute(self, name: str, default: Any) -> Any:
        """The value of an attribute, or ``default`` where the node does not set it."""
        return self.attributes.get(name, default)


def node_name(node: Any, index: int) -> str:
    """The name of a ``NodeProto``, or one made from its operator and position."""
    return node.name or f"{node.op_type}_{index}"


class Net:
    """Nodes in graph order, who makes and who reads each tensor, and what shape inference knows.

    Args:
        model: an ``onnx.ModelProto``; stays as it is.
    """

    def __init__(self, model: Any) -> None:
        onnx = onnx_package()
        graph = onnx.shape_inference.infer_shapes(model).graph
        self.nodes = tuple(_node(node, index) for index, node in enumerate(graph.node))
        self._makers = {output: node for node in self.nodes for output in node.outputs if output}
        self._readers: dict[str, list[tuple[Node, int]]] = {}
        for node in self.nodes:
            for index, tensor in enumerate(node.inputs):
                self._readers.setdefault(tensor, []).append((node, index))
        self._constants = {tensor.name for tensor in graph.initializer}
        self._constants |= {node.outputs[0] for node in self.nodes if node.op == "Constant"}
        self._shapes: dict[str, tuple[int, ...]] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
        self._types = {tensor.name: dtype_name(tensor.data_type) for tensor in graph.initializer}
        for value in (*graph.input, *graph.value_info, *graph.output):
            self._know(value)
        self._depths: dict[str, int] = {}
        for node in self.nodes:
            deepest = max((self._depths.get(tensor, 0) for tensor in node.inputs), default=0)
            self._depths |= dict.fromkeys(node.outputs, deepest + (node.op in WEIGHTED))

    def _know(self, value: Any) -> None:
        kind = value.type.tensor_type
        self._types[value.name] = dtype_name(kind.elem_type)
        if kind.HasField("shape") and all(dim.dim_value > 0 for dim in kind.shape.dim):
            self._shapes[value.name] = tuple(dim.dim_value for dim in kind.shape.dim)

    def maker(self, tensor: str) -> Node | None:
        """The node that computes a tensor; None for inputs and initializers."""
        return self._makers.get(tensor)

    def readers(self, tensor: str) -> list[tuple[Node, int]]:
        """The nodes that read a tensor, each with the position among its inputs."""
        return self._readers.get(tensor, [])

    def constant(self, tensor: str) -> bool:
        """Whether the file holds its values."""
        return tensor in self._constants

    def shape(self, tensor: str) -> tuple[int, ...] | None:
        """All dimensions, or None where one is unknown."""
        return self._shapes.get(tensor)

    def real(self, tensor: str) -> bool:
        """Whether it is a float32 tensor, as far as is known."""
        return self._types.get(tensor, "float32") == "float32"

    def activation(self, tensor: str) -> bool:
        """Whether it is a float32 tensor that changes from inference to inference."""
        return bool(tensor) and not self.constant(tensor) and self.real(tensor)

    def depth(self, tensor: str) -> int:
        """How many operators with weights lie on the longest way from an input to this tensor."""
        return self._depths.get(tensor, 0)

    def weighted(self) -> Iterator[Node]:
        """The nodes with weights, in graph order."""
        return (node for node in self.nodes if node.op in WEIGHTED)


def _node(node: Any, index: int) -> Node:
    value = onnx_package().helper.get_attribute_value
    attributes = {attribute.name: value(attribute) for attribute in node.attribute}
    op = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"
    return Node(node_name(node, index), op, tuple(node.input), tuple(node.output), attributes, index)


def macs(net: Net, node: Node) -> int:
    """Multiplications with accumulation of one inference; 0 where shapes are unknown or nothing multiplies."""
    if node.op not in WEIGHTED:
        return 0
    shapes = [net.shape(tensor) for tensor in (node.inputs[0], node.inputs[1], node.outputs[0])]
    if any(shape is None for shape in shapes):
        return 0
    data, weights, result = (shape or () for shape in shapes)
    if node.op == "Conv":  # every output element takes one kernel over the channels of its group
        return math.prod(result) * math.prod(weights[1:])
    if node.op == "ConvTranspose":  # every input element is spread by one kernel to the channels of its group
        return math.prod(data) * math.prod(weights[1:])
    inner = data[0] if node.op == "Gemm" and node.attribute("transA", 0) else data[-1]
    return math.prod(result) * inner
