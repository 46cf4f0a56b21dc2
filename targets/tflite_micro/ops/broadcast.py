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
        step_a, step_b: 0 or 1 per element of a run.
        axes: innermost first: extent, and what takes each operand to the next run when this axis moves on and
            all axes inside of it go back to their start.
    """

    count: int
    step_a: int
    step_b: int
    axes: tuple[tuple[int, int, int], ...]

    @property
    def flat(self) -> bool:
        """Whether all three are one run of the same elements."""
        return not self.axes and bool(self.step_a and self.step_b)

    @property
    def shape(self) -> Const | None:
        """The array ``shape`` of ew_broadcast.h; None where it is not needed."""
        if self.flat:
            return None
        numbers = [self.step_a, self.step_b, len(self.axes), *itertools.chain.from_iterable(self.axes)]
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
        return Walk(1, 1, 1, ())
    count, run_a, run_b = merged[0]
    jumps_a, jumps_b = _jumps([(n, x) for n, x, _ in merged]), _jumps([(n, y) for n, _, y in merged])
    axes = tuple((n, x, y) for (n, _, _), x, y in zip(merged[1:], jumps_a, jumps_b, strict=True))
    return Walk(count, int(run_a > 1), int(run_b > 1), axes)


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


def one_constant(op: Op, graph: Graph) -> bool:
    """Whether one operand is a constant with one value, so that the operator is a function of the other one's bytes."""
    a, b, _ = operands(op, graph)
    return (a.constant and a.elements == 1 and not b.constant) or (b.constant and b.elements == 1 and not a.constant)


def binary_call(op: Op, graph: Graph, functions: tuple[str, str], params: Mapping[str, Value], source: str) -> Call:
    """The call of ``functions``: the one for operands of one shape, and the one that broadcasts."""
    a, b, out = operands(op, graph)
    shapes = walk(a.shape, b.shape)
    return Call(
        functions[0] if shapes.flat else functions[1],
        {"shape": shapes.shape, "count": shapes.count, **params},
        (In(a.index), In(b.index), Out(out.index)),
        overlap={x.index: 0 for x in (a, b) if not x.constant and x.elements == out.elements},
        elementwise=shapes.flat,
        sources=(source, "ew_broadcast.c"),
    )


def limited(stem: str, limits: tuple[int, int], variant: Variant) -> tuple[str, str]:
    """Functions of a kernel that has a shorter form for the limits of int8 (Helium compares in any case)."""
    return stem if limits == (-128, 127) and variant != "mve" else f"{stem}_limit", f"{stem}_broadcast"


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


def int8_operands(op: Op, graph: Graph) -> str:
    """Both operands and the output are int8 with one scale per tensor."""
    for tensor in operands(op, graph):
        if tensor.dtype != "int8" or not tensor.quantization or not tensor.quantization.per_tensor:
            scales = len(tensor.quantization.scale) if tensor.quantization else 0
            return f"{tensor.dtype} with {scales} scales in '{tensor.name}'"
    return ""
