"""MEAN, SUM, REDUCE_MAX and REDUCE_MIN.

TFLite's reference sums int8 elements in int32, subtracts the zero points, and scales once; a mean has the division in
its multiplier (reference_ops::QuantizedMeanOrSum; the special kernel for the mean over height and width belongs to
the optimised operators).
"""

from __future__ import annotations

import math

from targets.tflite_micro.calls import Call, In, Out, Rule, Value, Variant
from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.ops.common import int8_activations, quantize_multiplier
from targets.tflite_micro.ops.moves import constant, known

#: EW_REDUCE_AXES of ew_reduce.h.
_MAX = 3

#: (whether it is folded, count, step in bytes), outermost first.
_Axis = tuple[bool, int, int]


def constant_axes(op: Op, graph: Graph) -> str:
    """The axes are constant."""
    values, rank = constant(op, graph, 1), len(graph.tensor(op.inputs[0]).shape)
    if values is None:
        return known(op, graph, 1)
    return "" if all(-rank <= axis < rank for axis in values.reshape(-1)) else f"{values.tolist()} for {rank} axes"


def few_groups(op: Op, graph: Graph) -> str:
    """Kept and reduced axes take turns at most 3 times each."""
    axes = _axes(op, graph)
    folded = sum(fold for fold, _, _ in axes)
    return "" if max(folded, len(axes) - folded) <= _MAX else f"{folded} and {len(axes) - folded} times"


def same_scale(op: Op, graph: Graph) -> str:
    """Input and output have the same scale and zero point."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    same = source.quantization == target.quantization
    return "" if same else f"{source.quantization} and {target.quantization}"


def countable(op: Op, graph: Graph) -> str:
    """Fewer than 2^24 elements are reduced to one."""
    count = _count(_axes(op, graph))
    return "" if count < 1 << 24 else str(count)


def _axes(op: Op, graph: Graph) -> list[_Axis]:
    """Axes of the input, neighbours of one kind merged."""
    shape, values = graph.tensor(op.inputs[0]).shape, constant(op, graph, 1)
    assert values is not None
    folded = {int(axis) % len(shape) for axis in values.reshape(-1)}
    found: list[_Axis] = []
    for place, size in enumerate(shape):
        step, fold = math.prod(shape[place + 1 :]), place in folded
        if size == 1:
            continue
        if found and found[-1][0] == fold:
            size *= found.pop()[1]  # noqa: PLW2901
        found.append((fold, size, step))
    return found


def _count(axes: list[_Axis]) -> int:
    return math.prod(size for fold, size, _ in axes if fold)


def _scaling(op: Op, source: Tensor, target: Tensor, count: int) -> dict[str, Value]:
    multiplier, shift = quantize_multiplier(source.scale / target.scale)
    if op.kind == "MEAN":  # QuantizedMeanOrSum: as many bits as the multiplier can take, then the division
        more = min(count.bit_length() - 1, 32, 31 + shift)
        multiplier, shift = (multiplier << more) // count, shift - more
    offset = (-source.zero_point * count + (1 << 31)) % (1 << 32) - (1 << 31)
    return {"offset": offset, "multiplier": multiplier, "shift": shift, "out_zero": target.zero_point}


def lower_mean(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_mean`` where the reduced axes are neighbours, or else of ``ew_reduce_sum``."""
    source, target, axes = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0]), _axes(op, graph)
    scaling, args = _scaling(op, source, target, _count(axes)), (In(source.index), Out(target.index))
    kinds = [fold for fold, _, _ in axes]
    if kinds.count(True) > 1:
        params = {**_steps(axes), **scaling, "flip": 0}
        return Call("ew_reduce_sum", params, args, overlap={source.index: 0}, sources=("ew_reduce.c",))
    place = kinds.index(True) if True in kinds else len(axes)
    batch = math.prod(size for _, size, _ in axes[:place])
    channels = math.prod(size for _, size, _ in axes[place + 1 :])
    params = {"batch": batch, "pixels": _count(axes), "channels": channels, **scaling}
    return Call("ew_mean", params, args, overlap={source.index: 0}, sources=("ew_mean.c",))


def lower_extreme(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_reduce_max``."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    params: dict[str, Value] = {**_steps(_axes(op, graph)), "flip": -1 if op.kind == "REDUCE_MIN" else 0}
    args = (In(source.index), Out(target.index))
    return Call("ew_reduce_max", params, args, overlap={source.index: 0}, sources=("ew_reduce.c",))


def _steps(axes: list[_Axis]) -> dict[str, Value]:
    made: dict[str, Value] = {}
    for name, folded in (("keep", False), ("fold", True)):
        chosen = [(size, step) for fold, size, step in axes if fold == folded]
        chosen = [(1, 0)] * (_MAX - len(chosen)) + chosen
        made[name] = tuple(size for size, _ in chosen)
        made[f"{name}_step"] = tuple(step for _, step in chosen)
    return made


_CONSTRAINTS = (int8_activations, constant_axes, few_groups, countable)
RULES = (
    Rule("MEAN", _CONSTRAINTS, lower_mean),
    Rule("SUM", _CONSTRAINTS, lower_mean),
    Rule("REDUCE_MAX", (*_CONSTRAINTS, same_scale), lower_extreme),
    Rule("REDUCE_MIN", (*_CONSTRAINTS, same_scale), lower_extreme),
)
