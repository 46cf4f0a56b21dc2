"""What OpenVINO's CPU plugin will do with a model, operator by operator."""

from __future__ import annotations

from typing import Any

from profiles.device import Device
from profiles.errors import UnsupportedError
from targets.base import ExportedModel, OpSupport, SupportReport, Verdict
from targets.fit import weights_fit
from targets.network import network
from targets.openvino.left_in_float import reason
from targets.openvino.models import open_network
from targets.openvino.precision import missing
from targets.sparsity import DENSE, find, notes

_PLUMBING = {"Parameter", "Result", "Constant"}
_COMPUTE = {"Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul", "LSTMSequence", "GRUSequence"}
_QUANTIZABLE = _COMPUTE - {"LSTMSequence", "GRUSequence"}


def report(name: str, model: ExportedModel, device: Device, precision: str) -> SupportReport:
    """Ask the plugin itself (``query_model``), then add what the precision means for each operator."""
    import openvino as ov

    if not (model.native or model.onnx or model.tflite):
        return SupportReport(name, device.name, precision, problems=("no ONNX or TFLite file of the model",))
    try:
        opened = open_network(model)
    except UnsupportedError as error:
        return SupportReport(name, device.name, precision, problems=(error.seen,))
    supported = ov.Core().query_model(opened, "CPU")
    nodes = [node for node in opened.get_ordered_ops() if node.get_type_name() not in _PLUMBING]
    quantizes = precision == "int8" and model.precision != "int8"
    rows = tuple(_row(node, supported, device, precision, quantizes) for node in nodes)
    weights = sum(_bytes(node) for node in opened.get_ordered_ops() if node.get_type_name() == "Constant")
    said, problems = weights_fit(device, weights)
    found = notes(find(network(model)), _zeros(device, precision))
    return SupportReport(name, device.name, precision, rows, problems, weights, said, found)


def _zeros(device: Device, precision: str) -> str:
    """What happens to weights that are zero (OpenVINO documentation, CPU device, "Sparse weights decompression")."""
    if precision == "int8" and "amx_int8" in device.cpu.features:
        return f"{DENSE}; packing those of matrix products (CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE) is off in bundles"
    return DENSE


def _bytes(node: Any) -> int:
    return int(node.get_byte_size())


def _row(node: Any, supported: dict[str, str], device: Device, precision: str, quantizes: bool) -> OpSupport:
    name, op = node.get_friendly_name(), node.get_type_name()
    if name not in supported:
        return OpSupport(name, op, Verdict.UNSUPPORTED, "the CPU plugin has no kernel for it")
    note = _precision_note(op, device, precision) or (reason(node) if quantizes else "")
    return OpSupport(name, op, Verdict.FALLBACK if note else Verdict.NATIVE, note)


def _precision_note(op: str, device: Device, precision: str) -> str:
    """Why a compute operator will not run in the precision asked for; empty when it will."""
    if op not in _COMPUTE:
        return ""
    if precision == "int8" and op not in _QUANTIZABLE:
        return "stays in fp32: NNCF does not quantize it"
    lacking = missing(precision, device)
    if lacking:
        return f"the processor has none of {', '.join(sorted(lacking))}: weights in 16 bits, arithmetic in fp32"
    return ""
