"""Moving elements: an operator whose output is elements of its input at other places becomes calls of ``ew_copy``.

The operator is described by two numpy views of equal shape, one of a blank image of the input and one of the
output: ``write[...] = read[...]``. Only their addresses and strides are used, so that numpy's own slicing,
transposing, reshaping and broadcasting say what TFLite's operators mean.
"""

from __future__ import annotations

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.calls import Call, Const, Constraint, In, Lowering, Out, Role, Value
from targets.tflite_micro.graph.ir import Graph, Op, Tensor

#: EW_COPY_AXES of ew_copy.h.
MAX_AXES = 6

#: (count, step of the input, step of the output), in bytes.
Axis = tuple[int, int, int]


def blank(tensor: Tensor) -> Array:
    """An array of a tensor's shape and type, to take views of; its values mean nothing."""
    return np.empty(tensor.shape, tensor.dtype)


def move(source: Tensor, read: Array, target: Tensor, write: Array) -> Call:
    """The call that does ``write[...] = read[...]``; ``read`` and ``write`` are views of :func:`blank` tensors."""
    assert read.shape == write.shape, f"{read.shape} elements into {write.shape}"
    axes, run = merged(read, write)
    start, end = _offset(read), _offset(write)
    ordered = axes if _ascending(axes, run) else sorted(axes)
    params: dict[str, Value] = {
        "axes": Const(np.array([n for axis in reversed(ordered) for n in axis], np.int32), Role.TABLE),
        "in_offset": start,
        "out_offset": end,
        "run": run,
        "rank": len(ordered),
    }
    # Reads and writes both go upwards: safe when no write comes before the read of the same run.
    ahead = end - start + sum(max((count - 1) * (out_step - in_step), 0) for count, in_step, out_step in axes)
    overlap = {source.index: ahead} if _ascending(axes, run) and not source.constant else {}
    return Call("ew_copy", params, (In(source.index), Out(target.index)), overlap=overlap, sources=("ew_copy.c",))


def alone(calls: list[Call]) -> Call | tuple[Call, ...]:
    """Calls that write parts of one output: nothing may overlap with it unless there is only one."""
    if len(calls) == 1:
        return calls[0]
    return tuple(Call(call.function, call.params, call.args, sources=call.sources) for call in calls)


def fill(tensor: Tensor, value: int | float) -> Call:
    """The call that sets every element of a tensor."""
    item = np.array([value], tensor.dtype).tobytes()
    pattern = int.from_bytes((item * 4)[:4], "little")
    return Call("ew_fill", {"pattern": pattern, "bytes": tensor.bytes}, (Out(tensor.index),), sources=("ew_pad.c",))


def merged(read: Array, write: Array) -> tuple[list[Axis], int]:
    """Axes in the order of the output, outermost first, neighbours merged where both sides allow; bytes of a run."""
    found: list[Axis] = []
    axes = [axis for axis in zip(read.shape, read.strides, write.strides, strict=True) if axis[0] > 1]
    for count, in_step, out_step in sorted(axes, key=lambda axis: -abs(axis[2])):
        if found and found[-1][1:] == (count * in_step, count * out_step):
            count *= found.pop()[0]  # noqa: PLW2901
        found.append((count, in_step, out_step))
    run = read.itemsize
    if found and found[-1][1:] == (run, run):
        run *= found.pop()[0]
    return found or [(1, 0, 0)], run


def _ascending(axes: list[Axis], run: int) -> bool:
    """Whether walking the axes in order goes upwards in memory on both sides, without reading anything twice."""
    for side in (1, 2):
        reach = run
        for axis in reversed(axes):
            if axis[0] > 1 and axis[side] < reach:
                return False
            reach = axis[side] * (axis[0] - 1) + reach
    return True


def _offset(view: Array) -> int:
    base = view
    while isinstance(base.base, np.ndarray):
        base = base.base
    return int(view.__array_interface__["data"][0] - base.__array_interface__["data"][0])


def constant(op: Op, graph: Graph, position: int) -> Array | None:
    """The values of an input that the file must hold; None when it does not."""
    if position >= len(op.inputs) or op.inputs[position] < 0:
        return None
    return graph.tensor(op.inputs[position]).data


def known(op: Op, graph: Graph, *positions: int) -> str:
    """What is wrong when inputs at these places are not constants; "" when all are."""
    for position in positions:
        if constant(op, graph, position) is None:
            return f"input {position} is computed at run time or missing"
    return ""


def few_axes(lower: Lowering) -> Constraint:
    """The constraint that ``ew_copy`` can walk what a lowering makes."""

    def walkable(op: Op, graph: Graph) -> str:
        """At most 6 axes remain when those that stay neighbours are merged."""
        made = lower(op, graph, "portable")
        calls = made if isinstance(made, tuple) else (made,)
        most = max(int(call.params.get("rank", 0)) for call in calls)  # type: ignore[arg-type]
        return "" if most <= MAX_AXES else f"{most} axes"

    return walkable
