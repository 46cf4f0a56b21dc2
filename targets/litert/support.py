"""What LiteRT will do with a model, operator by operator."""

from __future__ import annotations

from profiles.device import Device
from targets.base import ExportedModel, OpSupport, SupportReport, Verdict
from targets.fit import weights_fit
from targets.network import tflite_network
from targets.sparsity import DENSE, find, notes
from targets.tflite_tools import TfliteFile, TfliteOperator, computes_weights, parse_tflite, read_bytes

#: Compute operators that ai-edge-quantizer leaves in float.
_FLOAT_ONLY = frozenset({"UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM", "LSTM", "SVDF", "CONV_3D"})
_ZEROS = f"{DENSE}: XNNPACK has sparse kernels, for files in TFLite's sparse format, which the converter does not write"
_COMPUTE = (
    frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL"}) | _FLOAT_ONLY
)


def report(name: str, model: ExportedModel, device: Device, precision: str) -> SupportReport:
    """From the file alone: built-in operators run, custom ones need code that a bundle does not carry."""
    if model.tflite is None:
        problem = "no TFLite file of the model: LiteRT reads neither ONNX nor IR; start from torch or from a .tflite"
        return SupportReport(name, device.name, precision, problems=(problem,))
    data = read_bytes(model.tflite)
    file = parse_tflite(data, model.tflite)
    rows = tuple(_row(file, operator, device, precision) for operator in file.operators)
    weights = sum(tensor.size for tensor in file.tensors)
    said, problems = weights_fit(device, weights)
    found = notes(find(tflite_network(file, data)), _ZEROS)
    return SupportReport(name, device.name, precision, rows, (*_dynamic(file), *problems), weights, said, found)


def _dynamic(file: TfliteFile) -> tuple[str, ...]:
    open_axes = [io.name for io in file.inputs if -1 in io.tensor.signature and 0 in io.tensor.shape]
    return (f"inputs without a fixed shape: {', '.join(open_axes)}",) if open_axes else ()


def _row(file: TfliteFile, operator: TfliteOperator, device: Device, precision: str) -> OpSupport:
    first = operator.outputs[0] if operator.outputs else -1
    name = file.tensor(first, operator.subgraph).name if first >= 0 else f"operator {operator.index}"
    if operator.custom:
        return OpSupport(name, operator.op, Verdict.UNSUPPORTED, "a custom operator; allowed: built-in operators")
    note = _precision_note(operator.op, device, precision)
    if precision == "int8" and computes_weights(file, operator):
        note = "stays in fp32: its weights are computed, and int8 kernels want them stored"
    return OpSupport(name, operator.op, Verdict.FALLBACK if note else Verdict.NATIVE, note)


def _precision_note(op: str, device: Device, precision: str) -> str:
    if precision == "int8" and (op in _FLOAT_ONLY or op.startswith("STABLEHLO_")):
        return "stays in fp32: ai-edge-quantizer has no int8 recipe for it"
    if precision == "fp16" and op in _COMPUTE:
        return "weights are stored in fp16, arithmetic is fp32"
    return ""
