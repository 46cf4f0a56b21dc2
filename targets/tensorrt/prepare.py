"""A float ONNX file as placement wants it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from targets.onnx_prepare import prepare
from targets.onnx_tools import load_onnx, save_onnx
from targets.tensorrt.number_formats import FP16_SCALES, at_least_opset
from targets.tensorrt.placement.graph import Net, node_name


def prepare_graph(source: Path, out: Path, library: str) -> Any:
    """Batch normalisation folded, shapes known, every node with a name of its own, in an operator set with typed Q/DQ.

    Names matter: schedules, profilers and reports tell nodes by them.

    Args:
        source: a float ONNX file.
        out: where the prepared one is written.
        library: of :data:`targets.tensorrt.plan.LIBRARIES`.

    Returns:
        The prepared ``onnx.ModelProto``.

    Raises:
        UnsupportedError: the operator set is older and does not convert.
        ToolCrashError: ONNX Runtime cannot read the graph.
    """
    prepare(source, out)
    model = at_least_opset(load_onnx(out), FP16_SCALES)
    name_nodes(model)
    if library == "tensorrt_rtx":
        pool_all(model)
    save_onnx(model, out)
    return model


def name_nodes(model: Any) -> None:
    """Give every node of the main graph a name of its own; those that are one already stay."""
    used: set[str] = set()
    for index, node in enumerate(model.graph.node):
        name = node_name(node, index)
        while name in used:
            name = f"{name}_{index}"
        node.name = name
        used.add(name)


def pool_all(model: Any) -> None:
    """Call an average over everything what it is.

    TensorRT-RTX 1.7 fuses GlobalAveragePool, a reduction, with the quantizations around it; AveragePool is a kernel
    of its own between two others.
    """
    net = Net(model)
    for node in model.graph.node:
        source, result = net.shape(node.input[0]), net.shape(node.output[0])
        if node.op_type != "AveragePool" or not source or not result or set(result[2:]) != {1}:
            continue
        window = next(tuple(given.ints) for given in node.attribute if given.name == "kernel_shape")
        padded = any(given.name == "auto_pad" or (given.name == "pads" and any(given.ints)) for given in node.attribute)
        if window == source[2:] and not padded:
            node.op_type = "GlobalAveragePool"
            del node.attribute[:]
