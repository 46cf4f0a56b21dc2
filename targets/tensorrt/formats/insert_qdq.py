"""Q/DQ nodes put into an ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from profiles.runner import Array
from targets.onnx_layers import Weighted
from targets.onnx_tools import all_graphs, onnx_package


def quantize_activation(model: Any, tensor: str, scale: Array, zero: Array) -> str:
    """Append a QuantizeLinear and a DequantizeLinear behind a tensor; call ``in_order`` when all are there.

    Args:
        model: the ``ModelProto``, changed in place.
        tensor: what is quantized.
        scale: of one element, float32.
        zero: of one element and value 0; its type is the quantized type.

    Returns:
        The name of the dequantized tensor.
    """
    helper = onnx_package().helper
    operands = [_constant(model, f"{tensor}/scale", scale), _constant(model, f"{tensor}/zero", zero)]
    quantized, restored = f"{tensor}/quantized", f"{tensor}/dequantized"
    model.graph.node.extend(
        [
            helper.make_node("QuantizeLinear", [tensor, *operands], [quantized], name=f"{tensor}/QuantizeLinear"),
            helper.make_node("DequantizeLinear", [quantized, *operands], [restored], name=f"{tensor}/DequantizeLinear"),
        ]
    )
    return restored


def dequantize_weights(
    model: Any, layer: Weighted, values: Array, scale: Array, *, axis: int | None = None, block: int = 0
) -> str:
    """Append quantized weights and their DequantizeLinear; see :func:`drop_unread`.

    Args:
        model: the ``ModelProto``, changed in place.
        layer: whose weights they are.
        values: quantized, of the weights' shape.
        scale: float32; one per slice along ``axis``, or per ``block`` values along it, or one in all without an axis.
        axis: of the scales.
        block: how many values share a scale; 0 for whole slices.

    Returns:
        The name of the dequantized tensor.
    """
    name = f"{layer.tensor}/{layer.name}"
    operands = [_constant(model, f"{name}/quantized", values), _constant(model, f"{name}/scale", scale)]
    given = {**({} if axis is None else {"axis": axis}), **({"block_size": block} if block else {})}
    restored = f"{name}/dequantized"
    node = onnx_package().helper.make_node(
        "DequantizeLinear", operands, [restored], name=f"{name}/DequantizeLinear", **given
    )
    model.graph.node.append(node)
    return restored


def rewire(node: Any, inputs: Mapping[int, str]) -> None:
    """Give a node other inputs, by position."""
    for position, name in inputs.items():
        node.input[position] = name


def drop_unread(model: Any) -> None:
    """Remove the constants that nothing reads."""
    read = {name for graph in all_graphs(model.graph) for node in graph.node for name in node.input}
    read |= {output.name for output in model.graph.output}
    for index in reversed(range(len(model.graph.initializer))):
        if model.graph.initializer[index].name not in read:
            del model.graph.initializer[index]


def _constant(model: Any, name: str, values: Array) -> str:
    model.graph.initializer.append(onnx_package().numpy_helper.from_array(values, name))
    return name
