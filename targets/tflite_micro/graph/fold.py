"""Constant folding: operators whose inputs are all constant are computed now.

These are data movement of any type, arithmetic on the integers that shapes are computed with, and the
conversions between real and quantized constants (reference/quantize.h, reference/dequantize.h of TFLite).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.graph import shapes
from targets.tflite_micro.graph.ir import ITEM_BYTES, Graph, Op, Tensor
from targets.tflite_micro.graph.parameters import Unchecked, axis, slice_ranges
from targets.tflite_micro.graph.rewrite import fixed
from targets.tflite_micro.graph.verify import Malformed

#: The constants that folding makes have at most this many bytes together, plus four times those of the file.
_ROOM = 1 << 20
_CONVERT = ("SHAPE", "CAST", "QUANTIZE")


def fold(graph: Graph) -> Graph:
    """Replace what is constant by constants. An output of the graph stays an operator's.

    Raises:
        Malformed: an operator's result is not of the shape that the file states.
    """
    room = _ROOM + 4 * sum(tensor.data.nbytes for tensor in graph.tensors.values() if tensor.data is not None)
    work = dataclasses.replace(graph, tensors=dict(graph.tensors))
    kept = []
    for op in graph.ops:
        outs = work.outs(op)
        values = None
        if all(out.dtype in ITEM_BYTES and not out.variable for out in outs) and room >= sum(out.bytes for out in outs):
            values = None if set(op.outputs) & set(graph.outputs) else _values(op, work)
        if values is None:
            kept.append(op)
            continue
        for out, value in zip(outs, values, strict=True):
            work.tensors[out.index] = _constant(op, out, value)  # type: ignore[index]
            room -= out.bytes
    work = dataclasses.replace(work, ops=tuple(kept))
    shapes.check(work)  # operators may have got the constants that say what they do
    return work


def _constant(op: Op, out: Tensor, value: Array) -> Tensor:
    if value.shape != out.shape:
        raise Malformed(f"{op.kind} '{out.name}' gives the shape {value.shape}, and the file says {out.shape}")
    if value.dtype.name != out.dtype and op.kind not in _CONVERT:
        raise Malformed(f"{op.kind} '{out.name}' gives {value.dtype}, and the file says {out.dtype}")
    return dataclasses.replace(out, data=np.array(value, out.dtype))


def _values(op: Op, graph: Graph) -> list[Array] | None:
    """The outputs, None where they are not constant or not to be had."""
    ins = graph.ins(op)
    if op.kind == "SHAPE" and ins[0] is not None:
        return [np.array(ins[0].shape)]
    if not ins or not all(fixed(tensor) for tensor in ins):
        return None
    found = [tensor for tensor in ins if tensor is not None]
    integers = all(tensor.dtype in ("int32", "int64") for tensor in (*found, *graph.outs(op)))
    compute = _MOVES.get(op.kind) or (_INTEGERS.get(op.kind) if integers else None)
    if compute is None or any(tensor.dtype not in (*ITEM_BYTES, "float16") for tensor in found):
        return None
    shapes.check_op(op, graph)
    try:
        with np.errstate(over="ignore"):
            return compute(op, graph, [tensor.data for tensor in found if tensor.data is not None])
    except Unchecked:
        return None


def _reshape(op: Op, graph: Graph, values: list[Array]) -> list[Array]:
    return [values[0].reshape(graph.outs(op)[0].shape)]


def _transpose(op: Op, graph: Graph, values: list[Array]) -> list[Array]:
    return [values[0].transpose(values[1].tolist())]


def _pack(op: Op, graph: Graph, values: list[Array]) -> list[Array]:
    return [np.stack(values, axis(op, int(op.options.get("axis", 0)), values[0].ndim + 1))]


def _concatenation(op: Op, graph: Graph, values: list[Array]) -> list[Array]:
    outs = graph.outs(op)
    if any(tensor is None or tensor.quantization != outs[0].quantization for tensor in graph.ins(op)):
        raise Unchecked("inputs of other scales")
    return [np.concatenate(values, axis(op, int(op.options.get("axis", 0)), values[0].ndim))]


def _slice(op: Op, graph: Graph, values: list[Array]) -> list[Array]:
    taken = values[0]
    for place, (first, step, count) in enumerate(slice_ranges(op, graph)):
        taken = np.take(taken, range(first, first + step * count, step), place)
    return [taken.reshape(graph.outs(op)[0].shape)]


def _gather(op: Op, graph: Graph, values: list[Array]) -> list[Array]:
    at = axis(op, int(op.options.get("axis", 0)), values[0].ndim)
    integers = values[1].dtype.name in ("int32", "int64")
    if op.options.get("batch_dims") or not integers or not np.all((values[1] >= 0) & (values[1] < values[0].shape[at])):
        raise Unchecked("indices out of range")
    return [np.take(values[0], values[1], at)]


def _fill(op: Op, graph: Graph, values: list[Array]) -> list[Array]:
    if values[1].size != 1 or tuple(values[0].reshape(-1).tolist()) != graph.outs(op)[0].shape:
        raise Malformed(f"FILL {op.index} has {values[1].size} values for the shape {values[0].tolist()}")
    return [np.full(graph.outs(op)[0].shape, values[1].reshape(()))]


def _product(op: Op, graph: Graph, values: list[Array]) -> list[Array]:
    axes = tuple({axis(op, int(value), values[0].ndim) for value in values[1].reshape(-1)})
    return [np.prod(values[0], axes, values[0].dtype, keepdims=bool(op.options.get("keep_dims")))]


def _arithmetic(compute: Callable[[Array, Array], Array]) -> Callable[[Op, Graph, list[Array]], list[Array]]:
    def run(op: Op, graph: Graph, values: list[Array]) -> list[Array]:
        if op.options.get("fused_activation_function", "none") != "none":
            raise Unchecked("an activation")
        return [compute(values[0], values[1])]

    return run


def _dequantize(op: Op, graph: Graph, values: list[Array]) -> list[Array]:
    """float32 of the product in double."""
    source = graph.ins(op)[0]
    if source is None or source.dtype == "float16":
        return [values[0].view(np.float16).astype(np.float32).reshape(graph.outs(op)[0].shape)]
    if source.quantization is None or source.dtype not in ("int8", "uint8", "int16"):
        raise Unchecked("no scale")
    scale, zero = (_along(part, source) for part in (source.quantization.scale, source.quantization.zero_point))
    return [(np.float32(scale).astype(np.float64) * (values[0].astype(np.int64) - zero)).astype(np.float32)]


def _quantize(op: Op, graph: Graph, values: list[Array]) -> list[Array]:
    """Rounded half away from zero, in float32."""
    out = graph.outs(op)[0]
    if values[0].dtype.name != "float32" or out.dtype != "int8" or out.quantization is None:
        raise Unchecked("another type")
    steps = values[0] / np.float32(_along(out.quantization.scale, out))
    if not np.all(np.abs(steps) < 1 << 30):
        raise Unchecked("values out of range")
    rounded = np.copysign(np.floor(np.abs(steps) + np.float64(0.5)), steps)
    return [np.clip(rounded + _along(out.quantization.zero_point, out), -128, 127)]


def _along(values: tuple[float, ...] | tuple[int, ...], tensor: Tensor) -> Array:
    """Scales or zero points, shaped to go with the tensor's values."""
    shape = [1] * len(tensor.shape)
    if len(values) > 1 and tensor.quantization is not None:
        shape[tensor.quantization.axis] = len(values)
    return np.array(values).reshape(shape)


_Compute = Callable[[Op, Graph, list[Array]], list[Array]]
_MOVES: Mapping[str, _Compute] = {
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS"), _reshape),
    **dict.fromkeys(("SLICE", "STRIDED_SLICE"), _slice),
    "TRANSPOSE": _transpose,
    "PACK": _pack,
    "CONCATENATION": _concatenation,
    "GATHER": _gather,
    "FILL": _fill,
    "DEQUANTIZE": _dequantize,
    "QUANTIZE": _quantize,
}
_INTEGERS: Mapping[str, _Compute] = {
    "ADD": _arithmetic(np.add),
    "SUB": _arithmetic(np.subtract),
    "MUL": _arithmetic(np.multiply),
    "MINIMUM": _arithmetic(np.minimum),
    "MAXIMUM": _arithmetic(np.maximum),
    "REDUCE_PROD": _product,
    "CAST": _reshape,
}
