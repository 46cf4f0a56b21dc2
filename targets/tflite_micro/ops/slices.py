"""SLICE, STRIDED_SLICE, SPLIT, SPLIT_V, UNPACK and GATHER: parts of a tensor, as strided copies."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.calls import Call, Const, In, Out, Role, Rule, Value, Variant, option
from targets.tflite_micro.graph.ir import ITEM_BYTES, Graph, Op, Tensor
from targets.tflite_micro.ops.moves import alone, blank, constant, few_axes, known, move

#: One entry of a numpy index.
Item = slice | int


def constant_place(op: Op, graph: Graph) -> str:
    """Begin, size or end, and strides are constant."""
    return known(op, graph, *range(1, 3 if op.kind == "SLICE" else 4))


def plain_masks(op: Op, graph: Graph) -> str:
    """There is no ellipsis and no new axis."""
    found = [name for name in ("ellipsis_mask", "new_axis_mask") if option(op, name, 0)]
    return " and ".join(found)


def within_input(op: Op, graph: Graph) -> str:
    """The slice lies within the input and has the elements of the output."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    try:
        part = blank(source)[_index(op, graph)]
    except (IndexError, ValueError) as error:
        return str(error)
    sizes = tuple(n for n in part.shape if n != 1), tuple(n for n in target.shape if n != 1)
    return "" if sizes[0] == sizes[1] else f"a slice of {part.shape} for an output of {target.shape}"


def _index(op: Op, graph: Graph) -> tuple[Item, ...]:
    values = [constant(op, graph, i) for i in range(1, len(op.inputs))]
    vectors = [[int(v) for v in value.reshape(-1)] for value in values if value is not None]
    if op.kind == "SLICE":
        begin, size = vectors
        return tuple(slice(b, None if n == -1 else b + n) for b, n in zip(begin, size, strict=True))
    return tuple(_strided(op, *vectors))


def _strided(op: Op, begin: list[int], end: list[int], strides: list[int]) -> Iterator[Item]:
    masks = [int(option(op, f"{name}_mask", 0)) for name in ("begin", "end", "shrink_axis")]
    for i, (first, last, stride) in enumerate(zip(begin, end, strides, strict=True)):
        no_begin, no_end, shrink = (mask >> i & 1 for mask in masks)
        if shrink:
            yield first
        else:
            until = first + last if option(op, "offset", False) else last
            yield slice(None if no_begin else first, None if no_end else until, stride)


def lower_slice(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_copy``."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    part = blank(source)[_index(op, graph)]
    return move(source, part, target, blank(target).reshape(part.shape))


def _split_operands(op: Op, graph: Graph) -> tuple[Tensor, Array | None]:
    """The tensor to split, and the axis."""
    value, axis = (1, 0) if op.kind == "SPLIT" else (0, 2)
    return graph.tensor(op.inputs[value]), constant(op, graph, axis)


def parts_of_input(op: Op, graph: Graph) -> str:
    """The axis is constant, and the outputs lie side by side along it."""
    source, axis = _split_operands(op, graph)
    if axis is None:
        return "an axis that is computed at run time"
    place, rank, outs = int(axis.reshape(-1)[0]), len(source.shape), graph.outs(op)
    if -rank <= place < rank and all(len(out.shape) == rank for out in outs):
        rest = {(*t.shape[: place % rank], *t.shape[place % rank + 1 :]) for t in (source, *outs)}
        if len(rest) == 1 and sum(out.shape[place] for out in outs) == source.shape[place]:
            return ""
    return f"{source.shape} along axis {place} into {[out.shape for out in outs]}"


def lower_split(op: Op, graph: Graph, variant: Variant) -> Call | tuple[Call, ...]:
    """A call of ``ew_copy`` per output."""
    source, values = _split_operands(op, graph)
    assert values is not None
    axis, place, calls = int(values.reshape(-1)[0]) % len(source.shape), 0, []
    for target in graph.outs(op):
        part = (slice(None),) * axis + (slice(place, place + target.shape[axis]),)
        calls.append(move(source, blank(source)[part], target, blank(target)))
        place += target.shape[axis]
    return alone(calls)


def unpacked_shapes(op: Op, graph: Graph) -> str:
    """The outputs are of one shape, and the input has an axis more."""
    source, axis = graph.tensor(op.inputs[0]), int(option(op, "axis", 0))
    rank, shapes = len(source.shape), {out.shape for out in graph.outs(op)}
    if -rank <= axis < rank and source.shape[axis] == len(op.outputs):
        place = axis % rank
        if shapes == {(*source.shape[:place], *source.shape[place + 1 :])}:
            return ""
    return f"{source.shape} along axis {axis} into {len(op.outputs)} outputs of {sorted(shapes)}"


def lower_unpack(op: Op, graph: Graph, variant: Variant) -> Call | tuple[Call, ...]:
    """A call of ``ew_copy`` per output."""
    source = graph.tensor(op.inputs[0])
    places = np.moveaxis(blank(source), int(option(op, "axis", 0)) % len(source.shape), 0)
    return alone([move(source, places[i], target, blank(target)) for i, target in enumerate(graph.outs(op))])


def constant_indices(op: Op, graph: Graph) -> str:
    """The indices are constant, lie within the input, and are the same for the whole batch."""
    source, indices = graph.tensor(op.inputs[0]), constant(op, graph, 1)
    axis, rank = int(option(op, "axis", 0)), len(source.shape)
    if indices is None:
        return known(op, graph, 1)
    if option(op, "batch_dims", 0):
        return f"batch_dims {option(op, 'batch_dims')}"
    if not -rank <= axis < rank:
        return f"axis {axis} of {rank} axes"
    size = min(source.shape[axis], 1 << 16)
    return "" if indices.size and indices.min() >= 0 and indices.max() < size else f"indices beyond {size}"


def lower_gather(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_gather``: a row is what lies behind the axis."""
    source, target, indices = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0]), constant(op, graph, 1)
    assert indices is not None
    axis = int(option(op, "axis", 0)) % len(source.shape)
    run = math.prod(source.shape[axis + 1 :]) * ITEM_BYTES[source.dtype]
    return gather(source, target, (indices.reshape(-1), np.zeros(1)), (source.shape[axis] * run, run, run))


def gather(source: Tensor, target: Tensor, places: tuple[Array, Array], steps: tuple[int, int, int]) -> Call:
    """The call of ``ew_gather``: indices of rows and of columns; bytes of one image, of one row and of one run."""
    rows, columns = places
    batch, row, run = steps
    params: dict[str, Value] = {
        "rows": Const(rows.astype(np.uint16), Role.TABLE, align=2),
        "columns": Const(columns.astype(np.uint16), Role.TABLE, align=2),
        "batch": source.bytes // batch,
        "out_h": len(rows),
        "out_w": len(columns),
        "batch_step": batch,
        "row_step": row,
        "run": run,
    }
    return Call("ew_gather", params, (In(source.index), Out(target.index)), sources=("ew_gather.c", "ew_copy.c"))


RULES = (
    Rule("SLICE", (constant_place, within_input, few_axes(lower_slice)), lower_slice),
    Rule("STRIDED_SLICE", (constant_place, plain_masks, within_input, few_axes(lower_slice)), lower_slice),
    Rule("SPLIT", (parts_of_input,), lower_split),
    Rule("SPLIT_V", (parts_of_input,), lower_split),
    Rule("UNPACK", (unpacked_shapes,), lower_unpack),
    Rule("GATHER", (constant_indices,), lower_gather),
)
