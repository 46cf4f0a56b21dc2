"""Float islands: operators that a quantizer left in float, between a DEQUANTIZE and a QUANTIZE, become int8 ones.

Inside of an island, operators that move or choose values do the same to int8 ones; functions of one value, in a row,
become one table of 256 results (the operator TABLE), computed in float32 as the reference kernels compute
them (reference/dequantize.h, quantize.h, leaky_relu.h, binary_function.h of TFLite). Outputs stay equal to the bit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.graph.rewrite import fixed, readers, writers

Function = Callable[[Array], Array]
#: Operators that only move values, and those that choose the largest or smallest.
_MOVES = frozenset(
    {
        *("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "GATHER", "TILE", "BROADCAST_TO"),
        *("DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "REVERSE_V2", "RESIZE_NEAREST_NEIGHBOR", "MIRROR_PAD"),
    }
)
_CHOICES = frozenset({"REDUCE_MAX", "REDUCE_MIN", "MAX_POOL_2D"})
_LIMITS = {"RELU": (0, np.inf), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1), "RELU_0_TO_1": (0, 1)}
_BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "MINIMUM": np.minimum, "MAXIMUM": np.maximum,
}  # fmt: skip
#: Kinds that may be bridged; a binary operator only with a constant.
BRIDGED = _MOVES | _CHOICES | frozenset({*_LIMITS, *_BINARY, "LEAKY_RELU", "ABS"})


@dataclasses.dataclass(frozen=True)
class _Island:
    """From ``source``, through ``moves`` in order, then through ``functions`` in order, to ``target``."""

    source: Tensor
    moves: tuple[Op, ...]
    functions: tuple[Function, ...]
    target: Tensor
    ops: tuple[Op, ...]


def bridge_islands(graph: Graph) -> Graph:
    """Replace every island whose operators are all known; their int8 tensors get new keys."""
    written, read = writers(graph), readers(graph)
    for op in graph.ops:
        if op.kind == "QUANTIZE" and _int8(graph.outs(op)[0]):
            island = _island(op, graph, written, read)
            values = table(island.source, island.functions, island.target) if island else None
            if island is not None and values is not None:  # islands have no operator in common
                graph = _bridged(graph, island, values)
    return graph


def _int8(tensor: Tensor) -> bool:
    """Whether a tensor is int8 with one scale, of which all multiples are normal float32 numbers."""
    one = tensor.dtype == "int8" and tensor.quantization is not None and tensor.quantization.per_tensor
    return one and 1e-30 < tensor.scale < 1e30


def _island(last: Op, graph: Graph, written: dict[int, Op], read: dict[int, list[Op]]) -> _Island | None:
    """Walk up from a QUANTIZE; None where something does not belong."""
    chain: list[Op] = []
    key = last.inputs[0]
    while True:
        op, tensor = written.get(key), graph.tensor(key)
        if (
            op is None
            or tensor.dtype != "float32"
            or key in graph.outputs
            or len(read[key]) != 1
            or len(op.outputs) != 1
        ):
            return None
        if op.kind == "DEQUANTIZE":
            break
        chain.append(op)
        key = _variable_input(op, graph)
        if key < 0:
            return None
    source = graph.tensor(op.inputs[0])
    if not _int8(source) or fixed(source):
        return None
    return _sorted(source, chain[::-1], (op, *chain, last), graph)


def _variable_input(op: Op, graph: Graph) -> int:
    """The one input that is computed; -1 where there are several."""
    found = [key for key in op.inputs if key >= 0 and not fixed(graph.tensor(key))]
    return found[0] if len(found) == 1 else -1


def _sorted(source: Tensor, chain: list[Op], ops: tuple[Op, ...], graph: Graph) -> _Island | None:
    """Moves first: a function of one value may be computed after values were moved."""
    moves: list[Op] = []
    functions: list[Function] = []
    for op in chain:
        function = _function(op, graph)
        if function is not None:
            functions.append(function)
        elif op.kind in _MOVES or (op.kind in _CHOICES and _rises(source, functions)):
            moves.append(op)
        else:
            return None
    target = graph.outs(ops[-1])[0]
    return _Island(source, tuple(moves), tuple(functions), target, ops)


def _rises(source: Tensor, functions: list[Function]) -> bool:
    """Whether the functions so far keep the order of values, so that the largest stays the largest."""
    return bool(np.all(np.diff(_reals(source, functions)) >= 0))


def _function(op: Op, graph: Graph) -> Function | None:
    """A function of one value, in float32."""
    if op.kind in _LIMITS:
        low, high = (np.float32(limit) for limit in _LIMITS[op.kind])
        return lambda x: np.minimum(np.maximum(x, low), high)
    if op.kind == "LEAKY_RELU":
        alpha = np.float32(op.options.get("alpha", 0.0))
        return lambda x: np.where(x > 0, x, x * alpha)
    if op.kind == "ABS":
        return np.abs
    if op.kind in _BINARY and op.options.get("fused_activation_function", "none") == "none":
        return _with_constant(op, graph)
    return None


def _with_constant(op: Op, graph: Graph) -> Function | None:
    """An operator of a value and a constant scalar."""
    tensors = graph.ins(op)
    place = next((i for i, tensor in enumerate(tensors) if fixed(tensor)), -1)
    constant = tensors[place] if place >= 0 and len(tensors) == 2 else None
    if constant is None or constant.data is None or constant.dtype != "float32" or constant.elements != 1:
        return None
    compute, value = _BINARY[op.kind], constant.data.reshape(()).astype(np.float32)
    if place == 0:
        return lambda x: compute(value, x)
    return lambda x: compute(x, value)


def _reals(source: Tensor, functions: list[Function] | tuple[Function, ...]) -> Array:
    """What becomes of the 256 values of a tensor, -128 first, in float32."""
    steps = np.arange(-128, 128, dtype=np.float64) - source.zero_point
    values = (np.float64(source.scale) * steps).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for function in functions:
            values = np.asarray(function(values), np.float32)
    return values


def table(source: Tensor, functions: tuple[Function, ...], target: Tensor) -> Array | None:
    """The int8 result of every int8 value, -128 first; None where a value is no number or far out of range."""
    values = _reals(source, functions)
    with np.errstate(over="ignore"):
        steps = (values / np.float32(target.scale)).astype(np.float64)
    if not np.all(np.abs(steps) < 1 << 31):
        return None
    rounded = np.trunc(steps + np.copysign(0.5, steps))
    clipped: Array = np.clip(rounded + target.zero_point, -128, 127).astype(np.int64)
    return clipped


def _bridged(graph: Graph, island: _Island, values: Array) -> Graph:
    """The graph with the island's operators replaced; the last one is TABLE."""
    tensors, made, at = dict(graph.tensors), [], island.source
    for op in island.moves:
        out = dataclasses.replace(
            graph.outs(op)[0], index=max(tensors) + 1, dtype="int8", quantization=island.source.quantization
        )
        tensors[out.index] = out
        inputs = tuple(at.index if key == _variable_input(op, graph) else key for key in op.inputs)
        made.append(dataclasses.replace(op, inputs=inputs, outputs=(out.index,)))
        at = out
    last = island.ops[-1]
    options = {"values": tuple(int(value) for value in values)}
    made.append(Op(last.index, "TABLE", (at.index,), last.outputs, options))
    gone = {op.index for op in island.ops} - {op.index for op in made}
    by = {op.index: op for op in made}
    ops = tuple(by.get(op.index, op) for op in graph.ops if op.index not in gone)
    return dataclasses.replace(graph, tensors=tensors, ops=ops)
