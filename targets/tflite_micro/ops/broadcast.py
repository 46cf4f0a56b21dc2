"""Operators of two operands: shapes merged to the fewest axes that the kernels walk, constants with one value."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np

from targets.tflite_micro.calls import Call, Const, In, Out, Role, Value, Variant
from targets.tflite_micro.graph.ir import Graph, Op, Tensor

#: Axes beyond the innermost run (EW_BROADCAST_AXES of ew_broadcast.h).
MAX_AXES = 5


@dataclasses.dataclass(frozen=True)
class Walk:
    """How a kernel walks two operands and the output.

    Attributes:
        count: elements of a run.
        steps: of both operands, 0 or 1 per element of a run; one of them is 1.
        axes: innermost first: extent, and what takes each operand to the next run when this axis moves on and
            all axes inside of it go back to their start.
    """

    count: int
    steps: tuple[int, int]
    axes: tuple[tuple[int, int, int], ...]

    @property
    def flat(self) -> bool:
        """Whether all three are one run of the same elements."""
        return not self.axes and self.steps == (1, 1)

    @property
    def shape(self) -> Const:
        """The array ``shape`` of ew_broadcast.h, for a first operand that moves in runs."""
        numbers = [self.steps[1], len(self.axes), *itertools.chain.from_iterable(self.axes)]
        return Const(np.array(numbers, np.int32), Role.TABLE)


def walk(a: tuple[int, ...], b: tuple[int, ...]) -> Walk:
    """Merge the axes of two shapes that broadcast to each other."""
    rank = max(len(a), len(b))
    merged: list[list[int]] = []  # extent, size of a, size of b, innermost first
    for size_a, size_b in zip(_from_the_end(a, rank), _from_the_end(b, rank), strict=True):
        extent = max(size_a, size_b)
        if extent == 1:
            continue
        if merged and [size > 1 for size in merged[-1][1:]] == [size_a > 1, size_b > 1]:
            merged[-1] = [old * new for old, new in zip(merged[-1], (extent, size_a, size_b), strict=True)]
        else:
            merged.append([extent, size_a, size_b])
    if not merged:
        return Walk(1, (1, 1), ())
    count, run_a, run_b = merged[0]
    jumps_a, jumps_b = _jumps([(n, x) for n, x, _ in merged]), _jumps([(n, y) for n, _, y in merged])
    axes = tuple((n, x, y) for (n, _, _), x, y in zip(merged[1:], jumps_a, jumps_b, strict=True))
    return Walk(count, (int(run_a > 1), int(run_b > 1)), axes)


def _from_the_end(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (*reversed(shape), *(1,) * (rank - len(shape)))


def _jumps(axes: list[tuple[int, int]]) -> list[int]:
    """Of one operand, from (extent, own size) of the run and of all further axes."""
    own = axes[0][1]
    jumps, back = [], 0
    for extent, size in axes[1:]:
        stride = own if size > 1 else 0
        jumps.append(stride - back)
        back = extent * stride
        own *= size
    return jumps


def operands(op: Op, graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
    """Both operands and the output."""
    a, b = graph.ins(op)[:2]
    assert a is not None and b is not None
    return a, b, graph.outs(op)[0]


def ordered(op: Op, graph: Graph) -> tuple[Tensor, Tensor]:
    """Both operands, one that moves in runs first."""
    a, b, _ = operands(op, graph)
    return (a, b) if walk(a.shape, b.shape).steps[0] else (b, a)


def one_constant(op: Op, graph: Graph) -> bool:
    """Whether one operand is a constant with one value, so that the operator is a function of the other one's bytes."""
    a, b, _ = operands(op, graph)
    return (a.constant and a.elements == 1 and not b.constant) or (b.constant and b.elements == 1 and not a.constant)


def binary_call(
    function: str, pair: tuple[Tensor, Tensor], out: Tensor, params: Mapping[str, Value], *, flat: str = ""
) -> Call:
    """The call of ``function`` for two :func:`ordered` operands, or of ``flat`` where they are of one shape."""
    shapes = walk(pair[0].shape, pair[1].shape)
    plain = bool(flat) and shapes.flat
    return Call(
        flat if plain else function,
        {"shape": None if plain else shapes.shape, "count": shapes.count, **params},
        (In(pair[0].index), In(pair[1].index), Out(out.index)),
        overlap={x.index: 0 for x in pair if not x.constant and x.elements == out.elements},
        elementwise=shapes.flat,
        sources=("_".join(function.split("_")[:2]) + ".c", "ew_broadcast.c"),
    )


def limited(stem: str, limits: tuple[int, int], variant: Variant) -> dict[str, str]:
    """Functions of a kernel that has shorter forms for the limits of int8 (Helium compares in any case)."""
    ending = "" if limits == (-128, 127) and variant != "mve" else "_limit"
    return {"function": f"{stem}_broadcast{ending}", "flat": f"{stem}{ending}"}


def shapes_broadcast(op: Op, graph: Graph) -> str:
    """The operands' shapes broadcast to that of the output, in at most 6 axes once neighbours alike are merged."""
    a, b, out = operands(op, graph)
    try:
        together = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return f"{a.shape} and {b.shape}"
    if together != out.shape:
        return f"{a.shape} and {b.shape} to {out.shape}"
    axes = len(walk(a.shape, b.shape).axes) + 1
    return "" if axes <= MAX_AXES + 1 else f"{axes} axes"


def usual_scales(op: Op, graph: Graph) -> str:
    """Scales are between 2^-40 and 2^40, so that no ratio leaves float32."""
    for tensor in (*graph.ins(op), *graph.outs(op)):
        if tensor is not None and tensor.quantization and not 2.0**-40 <= tensor.scale <= 2.0**40:
            return f"{tensor.scale:g} in '{tensor.name}'"
    return ""


def int8_operands(op: Op, graph: Graph) -> str:
    """Both operands and the output are int8 with one scale per tensor."""
    for tensor in operands(op, graph):
        if tensor.dtype != "int8" or not tensor.quantization or not tensor.quantization.per_tensor:
            scales = len(tensor.quantization.scale) if tensor.quantization else 0
            return f"{tensor.dtype} with {scales} scales in '{tensor.name}'"
    return ""
