"""What will happen to a model on a microcontroller, before anything is compiled."""

from __future__ import annotations

from collections.abc import Sequence

from profiles.device import Device
from profiles.errors import EdgewrightError
from profiles.units import format_quantity
from targets.base import ExportedModel, OpSupport, SupportReport, Verdict
from targets.network import network
from targets.sparsity import find, notes
from targets.tflite_micro.build import make_program
from targets.tflite_micro.device import CODE_ESTIMATE, RAM_ESTIMATE, fused_rows, largest, variant_of
from targets.tflite_micro.graph.ir import Graph, Tensor
from targets.tflite_micro.graph.islands import BRIDGED
from targets.tflite_micro.graph.load import load_graph
from targets.tflite_micro.imagine import as_if_quantized
from targets.tflite_micro.ops.registry import obstacle
from targets.tflite_micro.program import Program


def report(target: str, model: ExportedModel, device: Device, precision: str) -> SupportReport:
    """Operators one by one; then whether constants, code and arena fit."""
    if model.tflite is None:
        problem = "no TFLite file of the model: start from torch or from a .tflite"
        return SupportReport(target, device.name, precision, problems=(problem,))
    given = load_graph(model.tflite)
    graph = as_if_quantized(given)
    found = notes(find(network(model)))
    rows = tuple(_row(graph, number, stays_in_float(given, graph)) for number in range(len(graph.ops)))
    if any(row.verdict is Verdict.UNSUPPORTED for row in rows):
        return SupportReport(target, device.name, precision, rows, weights_bytes=_constant_bytes(graph), notes=found)
    try:
        program = make_program(graph, variant_of(device.cpu.features), fused_rows(device))
    except EdgewrightError as error:
        return SupportReport(target, device.name, precision, rows, problems=(str(error),), notes=found)
    said, problems = fits(program, device)
    return SupportReport(target, device.name, precision, rows, problems, program.constant_bytes, said, found)


def stays_in_float(given: Graph, imagined: Graph) -> frozenset[str]:
    """Kinds of operators that the quantizer leaves in float; none in a graph that is quantized already."""
    if given is imagined:
        return frozenset()
    from targets.tflite_quantize import quantized_kinds

    return frozenset({op.kind for op in given.ops} - quantized_kinds())


def _row(graph: Graph, number: int, in_float: frozenset[str]) -> OpSupport:
    op = graph.ops[number]
    problem = obstacle(op, graph)
    bridged = op.kind in BRIDGED and not set(op.outputs) & set(graph.outputs)
    if not problem and op.kind in in_float and not bridged:
        problem = "ai-edge-quantizer leaves it in float; start from an int8 file that has it quantized, or replace it"
    return OpSupport(graph.name_of(op), op.kind, Verdict.UNSUPPORTED if problem else Verdict.NATIVE, problem)


def _constant_bytes(graph: Graph) -> int:
    return sum(tensor.bytes for tensor in graph.tensors.values() if tensor.constant)


def fits(program: Program, device: Device) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sentences on what fits, and sentences on what does not, with the largest tensors by name."""
    constants = [tensor for tensor in program.graph.tensors.values() if tensor.constant]
    activations = [program.graph.tensor(key) for key in program.offsets]
    flash = _judge(
        f"constants of {_bytes(program.constant_bytes)} and about {_bytes(CODE_ESTIMATE)} of code",
        program.constant_bytes + CODE_ESTIMATE, device, "flash", constants,
    )  # fmt: skip
    ram = _judge(
        f"an arena of {_bytes(program.arena)} and about {_bytes(RAM_ESTIMATE)} of stack and buffers",
        program.arena + RAM_ESTIMATE, device, "ram", activations,
    )  # fmt: skip
    verdicts = (flash, ram)
    return tuple(text for text, ok in verdicts if ok), tuple(text for text, ok in verdicts if not ok)


def _judge(what: str, need: float, device: Device, kind: str, tensors: Sequence[Tensor]) -> tuple[str, bool]:
    have = largest(device, kind)
    if need <= have:
        return f"{what} fit into {_bytes(have)} of {kind}", True
    biggest = sorted(tensors, key=lambda tensor: -tensor.bytes)[:3]
    names = ", ".join(f"'{t.name}' ({' x '.join(map(str, t.shape))}, {_bytes(t.bytes)})" for t in biggest)
    return f"{what} do not fit into {_bytes(have)} of {kind}; the largest tensors: {names}", False


def _bytes(value: float) -> str:
    return format_quantity(float(value), "B")
