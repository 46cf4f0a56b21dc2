"""What operators take from constant tensors (axes, paddings, sizes), read with checks."""

from __future__ import annotations

from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.graph.verify import Malformed

Shape = tuple[int, ...]
#: Kernel sizes, strides, dilations and paddings stay below this, so that C's int32_t holds every position.
LARGEST = 1 << 15
#: Operators with one input and an output of the same shape.
UNARY = (
    "SOFTMAX", "LOG_SOFTMAX", "LOGISTIC", "TANH", "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "HARD_SWISH",
    "LEAKY_RELU", "ELU", "GELU", "ABS", "NEG", "SIGN", "EXP", "LOG", "SQRT", "RSQRT", "SQUARE", "SIN", "COS", "FLOOR",
    "CEIL", "ROUND", "L2_NORMALIZATION", "LOGICAL_NOT", "ZEROS_LIKE", "QUANTIZE", "DEQUANTIZE", "CAST", "TABLE",
)  # fmt: skip


class Unchecked(Exception):
    """The shapes of an operator cannot be derived; the message says why ("'x', which is computed at run time")."""


def data(op: Op, graph: Graph, place: int) -> Tensor:
    """The tensor of an input that must be there."""
    key = op.inputs[place] if place < len(op.inputs) else -1
    if key < 0:
        raise Malformed(f"{op.kind} {op.index} lacks input {place}")
    return graph.tensor(key)


def ints(op: Op, graph: Graph, place: int) -> Shape:
    """The numbers in a constant input.

    Raises:
        Unchecked: the input is computed at run time.
        Malformed: it does not hold integers.
    """
    tensor = data(op, graph, place)
    if tensor.data is None:
        raise Unchecked(f"input {place}, '{tensor.name}', is computed at run time")
    if tensor.dtype not in ("int32", "int64"):
        raise Malformed(f"{op.kind} {op.index} has an input {place} of type {tensor.dtype}")
    return tuple(int(value) for value in tensor.data.reshape(-1))


def axis(op: Op, value: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= value < rank:
        raise Malformed(f"{op.kind} {op.index} has axis {value} of {rank}")
    return value % rank


def positive(op: Op, name: str, default: int | None = None) -> int:
    """An option that is a small number of at least 1 (a stride, a kernel size)."""
    value = int(op.options.get(name, default) or 0)
    if not 1 <= value < LARGEST:
        raise Malformed(f"{op.kind} {op.index} has a {name} of {value}")
    return value


def slice_ranges(op: Op, graph: Graph) -> tuple[tuple[int, int, int], ...]:
    """Per axis of a SLICE's or STRIDED_SLICE's input: first index, step, and how many are taken.

    TFLite's strided_slice_logic.h: out-of-range ends are clamped, masks stand for the whole axis.

    Raises:
        Unchecked, Malformed: parameters that are not constant, or that reach outside of the input.
    """
    return _slice(op, graph) if op.kind == "SLICE" else _strided(op, graph)


def _slice(op: Op, graph: Graph) -> tuple[tuple[int, int, int], ...]:
    shape, begin, size = data(op, graph, 0).shape, ints(op, graph, 1), ints(op, graph, 2)
    if not len(begin) == len(size) == len(shape):
        raise Malformed(f"SLICE {op.index} has {len(begin)} begins and {len(size)} sizes for {len(shape)} axes")
    taken = tuple(
        total - first if count == -1 else count for total, first, count in zip(shape, begin, size, strict=True)
    )
    for total, first, count in zip(shape, begin, taken, strict=True):
        if not (first >= 0 and 0 < count <= total - first):
            raise Malformed(f"SLICE {op.index} takes {count} from {first} on of an axis of {total}")
    return tuple((first, 1, count) for first, count in zip(begin, taken, strict=True))


def _strided(op: Op, graph: Graph) -> tuple[tuple[int, int, int], ...]:
    shape = data(op, graph, 0).shape
    begin, end, step = (ints(op, graph, place) for place in (1, 2, 3))
    for mask in ("ellipsis_mask", "new_axis_mask", "offset"):
        if op.options.get(mask):
            raise Unchecked(f"the option {mask} is set")
    if not len(begin) == len(end) == len(step) <= len(shape) or any(not 0 < abs(s) < LARGEST for s in step):
        raise Malformed(f"STRIDED_SLICE {op.index} has begins {begin}, ends {end}, strides {step} for shape {shape}")
    ranges = [_range(op, k, shape[k], (begin[k], end[k], step[k])) for k in range(len(begin))]
    return (*ranges, *((0, 1, total) for total in shape[len(begin) :]))


def _range(op: Op, at: int, total: int, numbers: tuple[int, int, int]) -> tuple[int, int, int]:
    first, last, step = numbers
    low, high = (0, total) if step > 0 else (-1, total - 1)
    first = (low if step > 0 else high) if _bit(op, "begin_mask", at) else _clamp(first, total, low, high)
    if _bit(op, "shrink_axis_mask", at):
        if step < 0 or not 0 <= first < total:
            raise Malformed(f"STRIDED_SLICE {op.index} takes element {first} of an axis of {total}")
        return first, 1, 1
    last = (high if step > 0 else low) if _bit(op, "end_mask", at) else _clamp(last, total, low, high)
    count = max(0, -((first - last) // step))
    if not count:
        raise Malformed(f"STRIDED_SLICE {op.index} takes nothing of axis {at}")
    return first, step, count


def _clamp(value: int, total: int, low: int, high: int) -> int:
    return min(max(value + total if value < 0 else value, low), high)


def _bit(op: Op, mask: str, at: int) -> bool:
    return bool(int(op.options.get(mask, 0)) >> at & 1)
