"""What TVM will do with a model on a plain CPU, operator by operator."""

from __future__ import annotations

from collections.abc import Collection

from profiles.device import Device
from profiles.errors import UnsupportedError
from targets.base import ExportedModel, OpSupport, SupportReport, Verdict
from targets.fit import weights_fit
from targets.network import onnx_network
from targets.onnx_shapes import dynamic_inputs
from targets.onnx_tools import OnnxNode, is_quantized, list_nodes, load_onnx, weights_bytes
from targets.sparsity import find, notes
from targets.tvm_cpu.compile_worker import ask_apart
from targets.tvm_cpu.machine import machine_of

_DOMAINS = ("", "ai.onnx")
_ONE_THREAD = "kernels run on one thread"


def report(name: str, model: ExportedModel, device: Device, precision: str) -> SupportReport:
    """TVM's importer itself is asked, in a process of its own; nothing is compiled."""
    problems = [*_no_machine(device), *_no_precision(precision)]
    if model.onnx is None:
        problems.append("no ONNX file of the model: start from torch or from a .onnx")
    if problems or model.onnx is None:
        return SupportReport(name, device.name, precision, problems=tuple(problems))
    graph = load_onnx(model.onnx)
    open_axes = dynamic_inputs(graph)
    if open_axes:
        problems.append(f"inputs without a fixed shape: {', '.join(open_axes)}")
    if is_quantized(graph):
        problems.append(_QUANTIZED)
    known, problem = ask_apart(model.onnx)
    rows = tuple(_row(node, known) for node in list_nodes(graph))
    if problem and all(row.verdict is not Verdict.UNSUPPORTED for row in rows) and not problems:
        problems.append(problem)
    weights = weights_bytes(graph)
    said, too_large = weights_fit(device, weights)
    found = (*notes(find(onnx_network(graph))), _ONE_THREAD)
    return SupportReport(name, device.name, precision, rows, (*problems, *too_large), weights, said, found)


def _no_machine(device: Device) -> list[str]:
    try:
        machine_of(device)
    except UnsupportedError as error:
        return [str(error)]
    return []


_QUANTIZED = (
    "the graph has Q/DQ pairs, which TVM computes in fp32 with extra work around it (docs/adr/0022-tvm-cpu.md): "
    "start from the float model"
)


def _no_precision(precision: str) -> list[str]:
    return [] if precision == "fp32" else [f"precision {precision}; allowed: fp32 (docs/adr/0022-tvm-cpu.md says why)"]


def _row(node: OnnxNode, known: Collection[str]) -> OpSupport:
    if node.domain not in _DOMAINS:
        return OpSupport(node.name, node.op, Verdict.UNSUPPORTED, f"domain '{node.domain}'; allowed: ONNX's own")
    if node.op not in known:
        return OpSupport(node.name, node.op, Verdict.UNSUPPORTED, "TVM's importer does not know the operator")
    return OpSupport(node.name, node.op, Verdict.NATIVE)
