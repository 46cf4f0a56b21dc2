"""What ONNX Runtime's CPU provider will do with a model, operator by operator."""

from __future__ import annotations

from profiles.device import Device
from targets.base import ExportedModel, OpSupport, SupportReport, Verdict
from targets.fit import weights_fit
from targets.network import onnx_network
from targets.onnx_tools import OnnxNode, list_nodes, load_onnx, weights_bytes
from targets.onnxruntime.dialect import activations_signed
from targets.sparsity import find, notes

_COMPUTE = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm", "LSTM", "GRU", "RNN", "Einsum"})
#: Beyond these, Q/DQ pairs around an operator stay where they are (onnxruntime, docs/OperatorKernels.md).
_INT8_KERNELS = frozenset({"Conv", "MatMul", "Gemm"})
_RUNS_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")


def report(name: str, model: ExportedModel, device: Device, precision: str) -> SupportReport:
    """From the graph alone, with the operator schemas of ONNX."""
    if model.onnx is None:
        return SupportReport(
            name, device.name, precision, problems=("no ONNX file of the model: start from torch or from a .onnx",)
        )
    graph = load_onnx(model.onnx)
    rows = tuple(_row(node, device, precision) for node in list_nodes(graph))
    weights = weights_bytes(graph)
    said, problems = weights_fit(device, weights)
    found = notes(find(onnx_network(graph)))
    return SupportReport(name, device.name, precision, rows, problems, weights, said, found)


def _row(node: OnnxNode, device: Device, precision: str) -> OpSupport:
    problem = _unknown(node)
    if problem:
        return OpSupport(node.name, node.op, Verdict.UNSUPPORTED, problem)
    note = _precision_note(node.op, device, precision)
    return OpSupport(node.name, node.op, Verdict.FALLBACK if note else Verdict.NATIVE, note)


def _unknown(node: OnnxNode) -> str:
    """Why no kernel can exist for it; empty when one should."""
    import onnx

    if node.domain not in _RUNS_DOMAINS:
        return f"domain '{node.domain}'; allowed: {', '.join(filter(None, _RUNS_DOMAINS))}"
    if node.domain in ("", "ai.onnx") and not onnx.defs.has(node.op):
        return "no operator of that name in ONNX"
    return ""


def _precision_note(op: str, device: Device, precision: str) -> str:
    """Why a compute operator will not run in the precision asked for; empty when it will."""
    if op not in _COMPUTE:
        return ""
    if precision == "fp16" and not activations_signed(device):
        return "x86 has no fp16 kernels: computed in fp32 between casts"
    if precision == "int8" and op not in _INT8_KERNELS:
        return "computed in fp32: the CPU provider has no int8 kernel for it"
    return ""
