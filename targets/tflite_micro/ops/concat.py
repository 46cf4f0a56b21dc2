"""CONCATENATION, PACK, TILE and BROADCAST_TO: one strided copy per input."""

from __future__ import annotations

import numpy as np

from targets.tflite_micro.calls import Call, Rule, Variant, option
from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.ops.moves import alone, blank, constant, few_axes, known, move


def same_scales(op: Op, graph: Graph) -> str:
    """All inputs have the type, scale and zero point of the output."""
    target = graph.tensor(op.outputs[0])
    for source in _inputs(op, graph):
        if (source.dtype, source.quantization) != (target.dtype, target.quantization):
            return f"'{source.name}' is {_words(source)}, the output {_words(target)}"
    return ""


def _words(tensor: Tensor) -> str:
    quantization = tensor.quantization
    scale = f" with scale {quantization.scale[0]:g} and zero point {quantization.zero_point[0]}" if quantization else ""
    return tensor.dtype + scale


def no_activation(op: Op, graph: Graph) -> str:
    """There is no fused activation."""
    name = option(op, "fused_activation_function", "none")
    return "" if name == "none" else str(name)


def _inputs(op: Op, graph: Graph) -> list[Tensor]:
    return [graph.tensor(key) for key in op.inputs]


def fitting_shapes(op: Op, graph: Graph) -> str:
    """The inputs lie side by side along the axis, and fill the output."""
    target, axis = graph.tensor(op.outputs[0]), int(option(op, "axis", 0))
    shapes = [source.shape for source in _inputs(op, graph)]
    rank = len(target.shape)
    if -rank <= axis < rank:
        rest = {(*s[: axis % rank], *s[axis % rank + 1 :]) for s in (*shapes, target.shape) if len(s) == rank}
        total = sum(s[axis] for s in shapes if len(s) == rank)
        if len(rest) == 1 and total == target.shape[axis] and all(len(s) == rank for s in shapes):
            return ""
    return f"{shapes} along axis {axis} into {target.shape}"


def lower_concatenation(op: Op, graph: Graph, variant: Variant) -> Call | tuple[Call, ...]:
    """A call of ``ew_copy`` per input."""
    target = graph.tensor(op.outputs[0])
    axis, place, calls = int(option(op, "axis", 0)) % len(target.shape), 0, []
    for source in _inputs(op, graph):
        part = (slice(None),) * axis + (slice(place, place + source.shape[axis]),)
        calls.append(move(source, blank(source), target, blank(target)[part]))
        place += source.shape[axis]
    return alone(calls)


def packed_shapes(op: Op, graph: Graph) -> str:
    """The inputs are of one shape, and the output has an axis more."""
    target, axis = graph.tensor(op.outputs[0]), int(option(op, "axis", 0))
    rank, shapes = len(target.shape), {source.shape for source in _inputs(op, graph)}
    if -rank <= axis < rank and target.shape[axis] == len(op.inputs):
        place = axis % rank
        if shapes == {(*target.shape[:place], *target.shape[place + 1 :])}:
            return ""
    return f"{len(op.inputs)} inputs of {sorted(shapes)} along axis {axis} into {target.shape}"


def lower_pack(op: Op, graph: Graph, variant: Variant) -> Call | tuple[Call, ...]:
    """A call of ``ew_copy`` per input."""
    target = graph.tensor(op.outputs[0])
    axis = int(option(op, "axis", 0)) % len(target.shape)
    places = np.moveaxis(blank(target), axis, 0)
    sources = _inputs(op, graph)
    return alone([move(source, blank(source), target, places[i]) for i, source in enumerate(sources)])


def repeated_shape(op: Op, graph: Graph) -> str:
    """How often each axis is repeated is constant."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    counts = constant(op, graph, 1)
    if counts is None:
        return known(op, graph, 1)
    fits = len(counts) == len(source.shape) and target.shape == tuple(
        int(n) * size for n, size in zip(counts, source.shape, strict=True)
    )
    return "" if fits else f"{source.shape} times {counts.tolist()} into {target.shape}"


def lower_tile(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_copy``: every axis becomes (times, size), of which the first has a step of 0."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    once = [n for size in source.shape for n in (1, size)]
    split = [n for size, whole in zip(source.shape, target.shape, strict=True) for n in (whole // size, size)]
    return move(source, np.broadcast_to(blank(source).reshape(once), split), target, blank(target).reshape(split))


def broadcast_shape(op: Op, graph: Graph) -> str:
    """The input can be broadcast to the shape of the output."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    missing = len(target.shape) - len(source.shape)
    pairs = zip(source.shape, target.shape[missing:], strict=True) if missing >= 0 else [(0, 1)]
    return "" if all(size in (1, whole) for size, whole in pairs) else f"{source.shape} to {target.shape}"


def lower_broadcast(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_copy``."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    return move(source, np.broadcast_to(blank(source), target.shape), target, blank(target))


RULES = (
    Rule("CONCATENATION", (same_scales, no_activation, fitting_shapes), lower_concatenation),
    Rule("PACK", (same_scales, packed_shapes), lower_pack),
    Rule("TILE", (repeated_shape, few_axes(lower_tile)), lower_tile),
    Rule("BROADCAST_TO", (broadcast_shape, few_axes(lower_broadcast)), lower_broadcast),
)
