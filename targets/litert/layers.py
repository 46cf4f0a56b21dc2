"""Per-layer figures for LiteRT, whose Python interface has no operator profiler.

Each operator is cut out into a model of its own and timed there, XNNPACK included. What XNNPACK
gains by fusing neighbours (such as a pad into the convolution after it) is therefore not in these
figures: their sum may exceed the latency of the whole model. Travels to the device.
"""

from __future__ import annotations

import copy
import statistics
import time
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from profiles.measurement import Kind, Metric, unavailable
from profiles.runner import LayerCounters

COMPUTE_OPS = frozenset(
    [
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "TRANSPOSE_CONV",
        "CONV_3D",
        "FULLY_CONNECTED",
        "BATCH_MATMUL",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "LSTM",
        "SVDF",
    ]
)
_METHOD = "the operator alone in a model of its own, wall clock, median; fusion with neighbours is not seen"
_PRECISIONS = {
    schema.TensorType.FLOAT32: "fp32",
    schema.TensorType.FLOAT16: "fp16",
    schema.TensorType.BFLOAT16: "bf16",
    schema.TensorType.INT8: "int8",
    schema.TensorType.UINT8: "int8",
    schema.TensorType.INT16: "int16",
}
_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
_SECONDS_PER_LAYER = 0.02


def load_model(path: Path) -> Any:
    """The file as the schema's objects."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))


def time_layers(model: Any, threads: int) -> tuple[LayerCounters, ...]:
    """One row per operator of the main graph, in order of execution."""
    rows = []
    for number, operator in enumerate(model.subgraphs[0].operators):
        op = _op_name(model, operator)
        metric = _time(_single(model, operator), threads) if _alone(model, operator) else _NOT_ALONE
        rows.append(
            LayerCounters(
                _layer_name(model, operator, number), op, {"latency_p50": metric}, _precision(model, operator)
            )
        )
    return tuple(rows)


_NOT_ALONE = unavailable("latency_p50", "control flow, variables and custom operators cannot be cut out of their graph")


def executed_precisions(model: Any) -> dict[str, int]:
    """Number of compute operators by the type of their activations; XNNPACK and the built-in kernels keep it."""
    executed: dict[str, int] = {}
    for operator in model.subgraphs[0].operators:
        if _op_name(model, operator) in COMPUTE_OPS:
            precision = _precision(model, operator)
            executed[precision] = executed.get(precision, 0) + 1
    return executed


def _op_name(model: Any, operator: Any) -> str:
    code = model.operatorCodes[operator.opcodeIndex]
    return str(_NAMES.get(max(code.builtinCode, code.deprecatedBuiltinCode), "CUSTOM"))


def _layer_name(model: Any, operator: Any, number: int) -> str:
    name = model.subgraphs[0].tensors[operator.outputs[0]].name if len(operator.outputs) else b""
    return (name or b"").decode("utf-8", errors="replace") or f"operator {number}"


def _precision(model: Any, operator: Any) -> str:
    """Of the first input that is computed; constants may be stored in fewer bits than they are used in."""
    given = [index for index in operator.inputs if index >= 0]
    first = next((index for index in given if not _constant(model, index)), None)
    return "" if first is None else _PRECISIONS.get(model.subgraphs[0].tensors[first].type, "")


def _alone(model: Any, operator: Any) -> bool:
    tensors = model.subgraphs[0].tensors
    variables = any(tensors[index].isVariable for index in operator.inputs if index >= 0)
    flow = _op_name(model, operator) in (
        "WHILE",
        "IF",
        "CALL_ONCE",
        "CUSTOM",
        "VAR_HANDLE",
        "READ_VARIABLE",
        "ASSIGN_VARIABLE",
    )
    return not variables and not flow and len(operator.outputs) > 0


def _single(model: Any, operator: Any) -> bytes:
    """A model with this operator only: its constants kept, its activations as inputs and outputs."""
    import flatbuffers

    used = list(dict.fromkeys(index for index in [*operator.inputs, *operator.outputs] if index >= 0))
    place = {old: new for new, old in enumerate(used)}
    one, graph, alone = schema.ModelT(), schema.SubGraphT(), copy.copy(operator)
    one.version, one.operatorCodes, one.subgraphs = 3, [model.operatorCodes[operator.opcodeIndex]], [graph]
    one.buffers = [schema.BufferT()]
    graph.tensors = [_tensor(model, index, one.buffers) for index in used]
    constants = {index for index in used if _constant(model, index)}
    graph.inputs = [place[i] for i in dict.fromkeys(operator.inputs) if i >= 0 and i not in constants]
    graph.outputs = [place[i] for i in operator.outputs]
    alone.opcodeIndex = 0
    alone.inputs = [place.get(i, -1) for i in operator.inputs]
    alone.outputs = [place[i] for i in operator.outputs]
    graph.operators = [alone]
    builder = flatbuffers.Builder(1024)
    builder.Finish(one.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _constant(model: Any, index: int) -> bool:
    data = model.buffers[model.subgraphs[0].tensors[index].buffer].data
    return data is not None and len(data) > 0


def _tensor(model: Any, index: int, buffers: list[Any]) -> Any:
    """A copy of a tensor whose constant, if any, is appended to ``buffers``."""
    tensor = copy.copy(model.subgraphs[0].tensors[index])
    if _constant(model, index):
        buffers.append(model.buffers[tensor.buffer])
        tensor.buffer = len(buffers) - 1
    else:
        tensor.buffer = 0
    return tensor


def _time(content: bytes, threads: int) -> Metric:
    """Median latency of one-operator model; inputs are zeros."""
    try:
        interpreter = Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        return unavailable("latency_p50", f"the operator does not run alone: {str(error).splitlines()[0]}")
    samples: list[float] = []
    end = time.perf_counter() + _SECONDS_PER_LAYER
    while time.perf_counter() < end or len(samples) < 5:
        start = time.perf_counter_ns()
        interpreter.invoke()
        samples.append((time.perf_counter_ns() - start) * 1e-9)
    return Metric(statistics.median(samples), "s", Kind.MEASURED, _METHOD)
