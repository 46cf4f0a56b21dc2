"""TRANSPOSE, REVERSE_V2, SPACE_TO_DEPTH and DEPTH_TO_SPACE as one strided copy."""

from __future__ import annotations

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.calls import Call, Rule, Variant, option
from targets.tflite_micro.graph.ir import Graph, Op
from targets.tflite_micro.ops.moves import blank, constant, few_axes, known, move


def constant_permutation(op: Op, graph: Graph) -> str:
    """The permutation is constant."""
    values = constant(op, graph, 1)
    rank = len(graph.tensor(op.inputs[0]).shape)
    if values is None:
        return known(op, graph, 1)
    axes = [int(axis) % rank if -rank <= axis < rank else -1 for axis in values.reshape(-1)]
    return "" if sorted(axes) == list(range(rank)) else f"{values.tolist()} for {rank} axes"


def _permuted(op: Op, graph: Graph) -> Array:
    values = constant(op, graph, 1)
    assert values is not None
    return blank(graph.tensor(op.inputs[0])).transpose([int(axis) for axis in values.reshape(-1)])


def lower_transpose(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_copy``."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    return move(source, _permuted(op, graph), target, blank(target))


def constant_axes(op: Op, graph: Graph) -> str:
    """The axes are constant."""
    values = constant(op, graph, 1)
    rank = len(graph.tensor(op.inputs[0]).shape)
    if values is None:
        return known(op, graph, 1)
    return "" if all(-rank <= axis < rank for axis in values.reshape(-1)) else f"{values.tolist()} for {rank} axes"


def lower_reverse(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_copy``."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    values = constant(op, graph, 1)
    assert values is not None
    return move(source, np.flip(blank(source), tuple(int(axis) for axis in values.reshape(-1))), target, blank(target))


def blocks_of_images(op: Op, graph: Graph) -> str:
    """Input and output are NHWC images, and the block size divides them."""
    deep, wide = _deep_and_wide(op, graph)
    block = int(option(op, "block_size", 0))
    if len(deep) != 4 or len(wide) != 4 or block < 1:
        return f"shapes {deep} and {wide}, block {block}"
    batch, height, width, channels = deep
    fits = wide == (batch, height * block, width * block, channels // block**2) and channels % block**2 == 0
    return "" if fits else f"shapes {deep} and {wide}, block {block}"


def _deep_and_wide(op: Op, graph: Graph) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shapes = graph.tensor(op.inputs[0]).shape, graph.tensor(op.outputs[0]).shape
    return shapes if op.kind == "DEPTH_TO_SPACE" else (shapes[1], shapes[0])


def lower_blocks(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_copy``: depth is block row, block column, channel."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    (batch, height, width, _), (*_, channels) = _deep_and_wide(op, graph)
    block = int(option(op, "block_size"))
    deep, wide = (batch, height, width, block, block, channels), (batch, height, block, width, block, channels)
    if op.kind == "DEPTH_TO_SPACE":
        read, write = blank(source).reshape(deep), blank(target).reshape(wide).transpose(0, 1, 3, 2, 4, 5)
    else:
        read, write = blank(source).reshape(wide).transpose(0, 1, 3, 2, 4, 5), blank(target).reshape(deep)
    return move(source, read, target, write)


RULES = (
    Rule("TRANSPOSE", (constant_permutation, few_axes(lower_transpose)), lower_transpose),
    Rule("REVERSE_V2", (constant_axes, few_axes(lower_reverse)), lower_reverse),
    Rule("DEPTH_TO_SPACE", (blocks_of_images,), lower_blocks),
    Rule("SPACE_TO_DEPTH", (blocks_of_images,), lower_blocks),
)
