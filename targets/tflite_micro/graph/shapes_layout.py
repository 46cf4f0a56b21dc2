"""Shapes of operators that move elements without computing: reshape, transpose, slice, pad, concatenate, resize."""

from __future__ import annotations

import math

from targets.tflite_micro.graph.ir import Graph, Op
from targets.tflite_micro.graph.parameters import LARGEST, Shape, Unchecked, axis, data, ints, slice_ranges
from targets.tflite_micro.graph.verify import Malformed


def reshape(op: Op, graph: Graph) -> list[Shape]:
    """RESHAPE: the stated shape, which must have as many elements as the input and agree with a constant shape."""
    stated, source = graph.outs(op)[0].shape, data(op, graph, 0)
    if math.prod(stated) != source.elements:
        raise Malformed(f"RESHAPE {op.index} makes {stated} from {source.shape}")
    try:
        wanted = ints(op, graph, 1) if len(op.inputs) > 1 else stated
    except Unchecked:
        return [stated]
    known = math.prod(size for size in wanted if size != -1)
    if wanted.count(-1) > 1 or known < 1 or any(size < -1 for size in wanted):
        raise Malformed(f"RESHAPE {op.index} is to the shape {wanted}")
    return [tuple(source.elements // known if size == -1 else size for size in wanted)]


def copy(op: Op, graph: Graph) -> list[Shape]:
    """COPY, of :mod:`~targets.tflite_micro.graph.variables`: as many elements."""
    stated, source = graph.outs(op)[0], data(op, graph, 0)
    if (stated.elements, stated.dtype) != (source.elements, source.dtype):
        raise Malformed(f"COPY {op.index} of {source.dtype} {source.shape} to {stated.dtype} {stated.shape}")
    return [stated.shape]


def squeeze(op: Op, graph: Graph) -> list[Shape]:
    """SQUEEZE: without the axes listed, or without all axes of 1."""
    shape = data(op, graph, 0).shape
    listed = {axis(op, value, len(shape)) for value in op.options.get("squeeze_dims") or ()}
    drop = listed or {place for place, size in enumerate(shape) if size == 1}
    if any(shape[place] != 1 for place in drop):
        raise Malformed(f"SQUEEZE {op.index} drops axes {sorted(drop)} of {shape}")
    return [tuple(size for place, size in enumerate(shape) if place not in drop)]


def expand_dims(op: Op, graph: Graph) -> list[Shape]:
    """EXPAND_DIMS: a new axis of 1."""
    shape, where = list(data(op, graph, 0).shape), ints(op, graph, 1)
    if len(where) != 1:
        raise Malformed(f"EXPAND_DIMS {op.index} has axes {where}")
    shape.insert(axis(op, where[0], len(shape) + 1), 1)
    return [tuple(shape)]


def transpose(op: Op, graph: Graph) -> list[Shape]:
    """TRANSPOSE: output axis i is input axis perm[i]."""
    shape, order = data(op, graph, 0).shape, ints(op, graph, 1)
    if sorted(axis(op, value, len(shape)) for value in order) != list(range(len(shape))) or min(order, default=0) < 0:
        raise Malformed(f"TRANSPOSE {op.index} orders {len(shape)} axes as {order}")
    return [tuple(shape[place] for place in order)]


def pad(op: Op, graph: Graph) -> list[Shape]:
    """PAD, PADV2, MIRROR_PAD: amounts before and after, per axis."""
    shape, amounts = data(op, graph, 0).shape, ints(op, graph, 1)
    if len(amounts) != 2 * len(shape) or any(not 0 <= amount < LARGEST for amount in amounts):
        raise Malformed(f"{op.kind} {op.index} pads {shape} by {amounts}")
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    if op.kind == "MIRROR_PAD":
        kept = {"reflect": 1, "symmetric": 0}.get(str(op.options.get("mode")), 1 << 31)
        if any(max(pair) > size - kept for size, pair in zip(shape, pairs, strict=True) if any(pair)):
            raise Malformed(f"MIRROR_PAD {op.index} pads {shape} by {amounts}")
    if op.kind == "PADV2" and data(op, graph, 2).elements != 1:
        raise Malformed(f"PADV2 {op.index} has {data(op, graph, 2).elements} values")
    return [tuple(size + before + after for size, (before, after) in zip(shape, pairs, strict=True))]


def concatenation(op: Op, graph: Graph) -> list[Shape]:
    """CONCATENATION: along one axis, equal in the others."""
    shapes = [data(op, graph, place).shape for place in range(len(op.inputs))]
    at = axis(op, int(op.options.get("axis", 0)), len(shapes[0]))
    if len({(*shape[:at], *shape[at + 1 :], len(shape)) for shape in shapes}) > 1:
        raise Malformed(f"CONCATENATION {op.index} joins {', '.join(map(str, shapes))} along axis {at}")
    return [(*shapes[0][:at], sum(shape[at] for shape in shapes), *shapes[0][at + 1 :])]


def slices(op: Op, graph: Graph) -> list[Shape]:
    """SLICE and STRIDED_SLICE."""
    shrunk = int(op.options.get("shrink_axis_mask", 0))
    ranges = slice_ranges(op, graph)
    return [tuple(count for place, (_, _, count) in enumerate(ranges) if not shrunk >> place & 1)]


def split(op: Op, graph: Graph) -> list[Shape]:
    """SPLIT into equal parts, SPLIT_V into parts of the sizes in a constant (one may be -1: the rest)."""
    shape = data(op, graph, 1 if op.kind == "SPLIT" else 0).shape
    where = ints(op, graph, 0 if op.kind == "SPLIT" else 2)
    at = axis(op, where[0] if len(where) == 1 else len(shape), len(shape))
    parts = len(op.outputs)
    sizes = [shape[at] // parts] * parts if op.kind == "SPLIT" else list(ints(op, graph, 1))
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = shape[at] - sum(size for size in sizes if size != -1)
    if len(sizes) != parts or op.options.get("num_splits", parts) != parts or sum(sizes) != shape[at] or min(sizes) < 1:
        raise Malformed(f"{op.kind} {op.index} splits axis {at} of {shape} into {parts} parts of {sizes}")
    return [(*shape[:at], size, *shape[at + 1 :]) for size in sizes]


def pack(op: Op, graph: Graph) -> list[Shape]:
    """PACK: inputs of one shape along a new axis."""
    shapes = {data(op, graph, place).shape for place in range(len(op.inputs))}
    shape = next(iter(shapes))
    if len(shapes) > 1 or op.options.get("values_count", len(op.inputs)) != len(op.inputs):
        raise Malformed(f"PACK {op.index} joins {len(op.inputs)} inputs of shapes {', '.join(map(str, shapes))}")
    at = axis(op, int(op.options.get("axis", 0)), len(shape) + 1)
    return [(*shape[:at], len(op.inputs), *shape[at:])]


def unpack(op: Op, graph: Graph) -> list[Shape]:
    """UNPACK: one output per index of an axis."""
    shape = data(op, graph, 0).shape
    at = axis(op, int(op.options.get("axis", 0)), len(shape))
    if not shape[at] == len(op.outputs) == op.options.get("num", len(op.outputs)):
        raise Malformed(f"UNPACK {op.index} makes {len(op.outputs)} outputs of axis {at} of {shape}")
    return [(*shape[:at], *shape[at + 1 :])] * len(op.outputs)


def resize(op: Op, graph: Graph) -> list[Shape]:
    """RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR to the height and width in a constant."""
    shape, size = data(op, graph, 0).shape, ints(op, graph, 1)
    if len(shape) != 4 or len(size) != 2 or not all(0 < value < LARGEST for value in (*size, *shape[1:3])):
        raise Malformed(f"{op.kind} {op.index} resizes {shape} to {size}")
    if op.options.get("align_corners") and op.options.get("half_pixel_centers"):
        raise Malformed(f"{op.kind} {op.index} has both align_corners and half_pixel_centers")
    return [(shape[0], *size, shape[3])]


def shape_of(op: Op, graph: Graph) -> list[Shape]:
    """SHAPE."""
    return [(len(data(op, graph, 0).shape),)]


INFER = {
    "RESHAPE": reshape, "SQUEEZE": squeeze, "EXPAND_DIMS": expand_dims, "TRANSPOSE": transpose,
    "PAD": pad, "PADV2": pad, "MIRROR_PAD": pad, "CONCATENATION": concatenation,
    "SLICE": slices, "STRIDED_SLICE": slices, "SPLIT": split, "SPLIT_V": split, "PACK": pack, "UNPACK": unpack,
    "RESIZE_BILINEAR": resize, "RESIZE_NEAREST_NEIGHBOR": resize, "SHAPE": shape_of, "COPY": copy,
}  # fmt: skip
