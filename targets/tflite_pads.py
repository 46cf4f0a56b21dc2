"""Max pooling that torch pads with minus infinity, made fit for integers.

The converter writes such a pool as PADV2 with the value -inf and a MAX_POOL_2D without padding. No
integer stands for -inf, but the lowest value of the padded tensor's own range does the same: every
window holds at least one real element (torch pads by at most half a window), which is never lower.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from profiles.runner import Array
from targets.histogram import Range
from targets.tflite_file import tflite_schema


def pads_with_infinity(path: Path) -> dict[str, str]:
    """Output tensor of every PADV2 with the value -inf, to the tensor that it pads; names."""
    model = _load(path)
    graph = model.subgraphs[0]
    return {
        _name(graph.tensors[operator.outputs[0]]): _name(graph.tensors[operator.inputs[0]])
        for operator in graph.operators
        if _is_infinite(model, operator)
    }


def finite(values: Array) -> Array:
    """Values with -inf replaced by the lowest finite one, for looking at ranges."""
    lowest = values[np.isfinite(values)].min(initial=np.inf)
    return np.where(np.isneginf(values), lowest, values).astype(values.dtype)


def with_finite_pads(path: Path, ranges: Mapping[str, Range]) -> bytes:
    """The file with the low end of each padded tensor's range in place of -inf; unchanged where there is none."""
    model = _load(path)
    graph = model.subgraphs[0]
    padded = [operator for operator in graph.operators if _is_infinite(model, operator)]
    if not padded:
        return path.read_bytes()
    for operator in padded:
        low = min(ranges[_name(graph.tensors[operator.inputs[0]])][0], 0.0)
        tensor = copy.copy(graph.tensors[operator.inputs[2]])
        buffer = tflite_schema().BufferT()
        buffer.data = np.frombuffer(np.float32(low).tobytes(), np.uint8)
        model.buffers.append(buffer)
        tensor.buffer = len(model.buffers) - 1
        tensor.name = _name(graph.tensors[operator.outputs[0]]).encode() + b"/pad_value"
        graph.tensors.append(tensor)
        operator.inputs = [*operator.inputs[:2], len(graph.tensors) - 1]
    return _packed(model)


def _is_infinite(model: Any, operator: Any) -> bool:
    schema = tflite_schema()
    code = model.operatorCodes[operator.opcodeIndex]
    if max(code.builtinCode, code.deprecatedBuiltinCode) != schema.BuiltinOperator.PADV2:
        return False
    tensor = model.subgraphs[0].tensors[operator.inputs[2]]
    data = model.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.FLOAT32 or data is None or len(data) != 4:
        return False
    return bool(np.isneginf(np.frombuffer(bytes(data), np.float32)[0]))


def _load(path: Path) -> Any:
    schema = tflite_schema()
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))


def _packed(model: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _name(tensor: Any) -> str:
    return (tensor.name or b"").decode("utf-8", errors="replace")
