"""What TensorRT will do with a model, node by node, before anything is compiled."""

from __future__ import annotations

import dataclasses
from typing import Any

from profiles.device import Device
from profiles.errors import ConfigError, EdgewrightError, MissingToolError, ModelError, UnsupportedError
from targets.base import ExportedModel, OpSupport, SupportReport, Verdict
from targets.fit import weights_fit
from targets.network import onnx_network
from targets.onnx_shapes import dynamic_inputs
from targets.onnx_tools import OnnxNode, list_nodes, load_onnx, weights_bytes
from targets.sparsity import find, notes
from targets.tensorrt.advice.dla import DlaReport, dla_report
from targets.tensorrt.advice.in_precision import Verdicts, verdicts
from targets.tensorrt.advice.zeros import zeros
from targets.tensorrt.compile import check_io, plan_for_model
from targets.tensorrt.compiler import limits
from targets.tensorrt.compiler.parser_verdicts import ParserVerdicts, ask
from targets.tensorrt.plan import BuildPlan


def report(name: str, model: ExportedModel, device: Device, precision: str) -> SupportReport:
    """Ask the parser, then add what the precision, the GPU and, where there is one, the DLA mean for each node.

    Args:
        name: of the target.
        model: float, or already in ``precision``.
        device: whose parameters name the library and the GPU.
        precision: asked for.

    Raises:
        ModelError: the file is no ONNX model.
        ConfigError: the device's parameters cannot be used.
    """
    if model.onnx is None:
        return SupportReport(
            name, device.name, precision, problems=("no ONNX file of the model: start from torch or from a .onnx",)
        )
    graph = load_onnx(model.onnx)
    weights = weights_bytes(graph)
    said, problems = weights_fit(device, weights)
    try:
        _check_graph(graph)
        plan = plan_for_model(dataclasses.replace(model, precision=precision), device)
        asked = ask(model.onnx, plan)
        inner = verdicts(model, graph, precision, plan.library)
    except (UnsupportedError, MissingToolError) as error:
        return SupportReport(name, device.name, precision, (), (*problems, _sentence(error)), weights, said)
    dla = dla_report(graph, precision) if device.parameters.get("dla_cores") else None
    rows = tuple(_row(node, plan, asked, inner, dla) for node in list_nodes(graph))
    found = find(onnx_network(graph))
    pruned = notes(found, zeros(found, plan))
    told = (*asked.notes, *inner.notes, *(dla.notes(precision) if dla else ()), *pruned)
    return SupportReport(name, device.name, precision, rows, (*problems, *asked.problems), weights, said, told)


def _check_graph(graph: Any) -> None:
    """Raises UnsupportedError for what stops a model as a whole."""
    dynamic = dynamic_inputs(graph)
    if dynamic:
        shapes = ("x".join(map(str, shape)) if shape else "unknown" for shape in dynamic.values())
        raise UnsupportedError(
            "wanted fixed shapes",
            seen=", ".join(f"'{name}' has the shape {shape}" for name, shape in zip(dynamic, shapes, strict=True)),
            next_step="give the shape: edgewright build MODEL --input NAME=1x3x320x320",
        )
    check_io(graph)


def _sentence(error: EdgewrightError) -> str:
    """An error as one sentence."""
    allowed = f" (allowed: {error.allowed})" if error.allowed else ""
    return f"{error.wanted}: {error.seen}{allowed}; {error.next_step}".rstrip("; ")


def _row(node: OnnxNode, plan: BuildPlan, asked: ParserVerdicts, inner: Verdicts, dla: DlaReport | None) -> OpSupport:
    refused = asked.why_not(node) or limits.beyond(node, plan)
    if refused:
        return OpSupport(node.name, node.op, Verdict.UNSUPPORTED, refused)
    verdict, note = inner.of(node)
    if dla is not None and plan.dla_core is not None and node.name in dla.on_gpu:
        verdict, note = Verdict.FALLBACK, f"on the GPU instead of the DLA: {dla.on_gpu[node.name][1]}"
    return OpSupport(node.name, node.op, verdict, "; ".join(filter(None, (note, asked.remarks.get(node.name, "")))))


__all__ = ["ConfigError", "ModelError", "report"]
