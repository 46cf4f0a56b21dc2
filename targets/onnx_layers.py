"""Layers with constant weights: convolutions and matrix products, however their weights are stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from profiles.runner import Array
from targets.onnx_tools import constant_values, weights

#: Operators with weights that are convolutions or matrix products.
PRODUCTS = ("Conv", "Gemm", "MatMul")


@dataclasses.dataclass(frozen=True)
class Weighted:
    """A convolution or matrix product whose weights are constant.

    Attributes:
        name: of the node; of its output where the node has none.
        op: of :data:`PRODUCTS`.
        node: the ``NodeProto``.
        weights: the weights as stored: floats, or the integers behind a DequantizeLinear.
        tensor: name of the constant that holds them.
        input_axis, output_axis: of ``weights``, counted from the front.
    """

    name: str
    op: str
    node: Any
    weights: Array
    tensor: str
    input_axis: int
    output_axis: int

    @property
    def inputs(self) -> int:
        """Input channels (of one group) or input features."""
        return int(self.weights.shape[self.input_axis])

    @property
    def outputs(self) -> int:
        """Output channels or output features."""
        return int(self.weights.shape[self.output_axis])


#: Whether a layer must stay as it is; the docstring is the reason that users read.
Constraint = Callable[[Weighted], bool]


def attribute(node: Any, name: str, default: int) -> int:
    """An integer attribute of a node."""
    return next((int(given.i) for given in node.attribute if given.name == name), default)


def node_name(node: Any) -> str:
    """The node's name; its first output where it has none."""
    return str(node.name or node.output[0])


def products(model: Any) -> Iterator[Any]:
    """All convolutions and matrix products of the main graph, in its order."""
    return (node for node in model.graph.node if node.op_type in PRODUCTS and node.domain in ("", "ai.onnx"))


def weighted_layers(model: Any) -> list[Weighted]:
    """The layers whose second input is a constant, or a constant that is dequantized; in graph order."""
    constants = dict(weights(model))
    makers = {name: node for node in model.graph.node for name in node.output}
    found = []
    for node in products(model):
        tensor = _stored(node.input[1], constants, makers)
        if tensor and len(constants[tensor].dims) > 1:
            values = constant_values(constants[tensor])
            found.append(Weighted(node_name(node), node.op_type, node, values, tensor, *_axes(node, values.ndim)))
    return found


def batched_weights(layer: Weighted) -> bool:
    """its weights have more than two axes"""
    return layer.op != "Conv" and layer.weights.ndim > 2


def quantized_before(layer: Weighted) -> bool:
    """its weights are quantized already"""
    return bool(layer.tensor != layer.node.input[1])


def choose(model: Any, constraints: Iterable[Constraint]) -> tuple[list[Weighted], dict[str, str]]:
    """The layers that no constraint holds back, and the others by name with the reason: a constraint's docstring."""
    layers = weighted_layers(model)
    left = dict.fromkeys(without_weights(model, layers), "its weights are computed")
    for layer in layers:
        reason = next((str(constraint.__doc__) for constraint in constraints if constraint(layer)), "")
        if reason:
            left[layer.name] = reason
    return [layer for layer in layers if layer.name not in left], left


def reasons(left: Mapping[str, str], most: int | None = None) -> str:
    """Names by reason, in one line; of each reason at most so many names."""
    words = []
    for why in dict.fromkeys(left.values()):
        names = [name for name, other in left.items() if other == why]
        more = f" and {len(names) - most} more" if most is not None and len(names) > most else ""
        words.append(f"{why}: {', '.join(names[:most])}{more}")
    return "; ".join(words)


def without_weights(model: Any, layers: Iterable[Weighted]) -> list[str]:
    """Names of the convolutions and matrix products that are not among ``layers``: their operands are computed."""
    known = {layer.name for layer in layers}
    return [name for name in map(node_name, products(model)) if name not in known]


def _stored(name: str, constants: Any, makers: Any) -> str:
    """The constant behind a name, through Q/DQ nodes; empty when there is none."""
    while name not in constants and name in makers:
        if makers[name].op_type not in ("QuantizeLinear", "DequantizeLinear"):
            return ""
        name = makers[name].input[0]
    return name if name in constants else ""


def _axes(node: Any, rank: int) -> tuple[int, int]:
    """Input and output axis (ONNX operators Conv, Gemm and MatMul)."""
    if node.op_type == "MatMul":
        return rank - 2, rank - 1
    if node.op_type == "Gemm" and not attribute(node, "transB", 0):
        return 0, 1
    return 1, 0
