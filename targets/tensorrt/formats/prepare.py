"""A float ONNX file as placement wants it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from profiles.errors import UnsupportedError
from targets.onnx_pools import name_global_pools
from targets.onnx_prepare import prepare
from targets.onnx_tools import all_graphs, dtype_name, load_onnx, save_onnx, weights
from targets.tensorrt.formats.number_formats import FP16_SCALES, at_least_opset
from targets.tensorrt.placement.graph import node_name


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
        UnsupportedError: the operator set is older and does not convert, or the model is no float32 model.
        ToolCrashError: ONNX Runtime cannot read the graph.
    """
    named = load_onnx(source)
    _require_float(named)
    if name_nodes(named):
        source = out.with_name("named.onnx")
        save_onnx(named, source)
    prepare(source, out)
    model = at_least_opset(load_onnx(out), FP16_SCALES)
    name_nodes(model)
    if library == "tensorrt_rtx":
        name_global_pools(model)
    save_onnx(model, out)
    return model


def _require_float(model: Any) -> None:
    """Raises UnsupportedError for a model that somebody quantized or cast before."""
    pairs = [node for graph in all_graphs(model.graph) for node in graph.node if node.op_type == "DequantizeLinear"]
    kinds = {dtype_name(tensor.data_type) for _, tensor in weights(model)} & {"float16", "bfloat16"}
    if pairs or kinds:
        raise UnsupportedError(
            "wanted a float32 model to quantize",
            seen="weights that are quantized already" if pairs else f"weights in {', '.join(sorted(kinds))}",
            allowed="float32",
            next_step="give the float32 model from which this one was made",
        )


def name_nodes(model: Any) -> bool:
    """Give every node of the main graph a name of its own; those that are one already stay.

    Returns:
        Whether any name was missing or taken.
    """
    used: set[str] = set()
    changed = False
    for index, node in enumerate(model.graph.node):
        name = node_name(node, index)
        while name in used:
            name = f"{name}_{index}"
        changed |= name != node.name
        node.name = name
        used.add(name)
    return changed
