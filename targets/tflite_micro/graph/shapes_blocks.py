"""Shapes of operators that repeat, pick or regroup elements: tile, gather, reverse, blocks of images and batches."""

from __future__ import annotations

import math

from targets.tflite_micro.graph.ir import Graph, Op
from targets.tflite_micro.graph.parameters import LARGEST, Shape, Unchecked, axis, data, ints, positive
from targets.tflite_micro.graph.verify import Malformed


def tile(op: Op, graph: Graph) -> list[Shape]:
    """TILE: every axis as often as a constant says."""
    shape, times = data(op, graph, 0).shape, ints(op, graph, 1)
    if len(times) != len(shape) or any(not 0 < count < LARGEST for count in times):
        raise Malformed(f"TILE {op.index} repeats {shape} {times} times")
    return [tuple(size * count for size, count in zip(shape, times, strict=True))]


def broadcast_to(op: Op, graph: Graph) -> list[Shape]:
    """BROADCAST_TO: axes of 1, and new ones in front, are repeated to the shape in a constant."""
    shape, wanted = data(op, graph, 0).shape, ints(op, graph, 1)
    behind = wanted[len(wanted) - len(shape) :]
    if len(wanted) < len(shape) or any(one not in (1, other) for one, other in zip(shape, behind, strict=True)):
        raise Malformed(f"BROADCAST_TO {op.index} repeats {shape} to {wanted}")
    return [wanted]


def gather(op: Op, graph: Graph) -> list[Shape]:
    """GATHER: elements along one axis, in the order of the indices."""
    shape, indices = data(op, graph, 0).shape, data(op, graph, 1)
    at = axis(op, int(op.options.get("axis", 0)), len(shape))
    batch = int(op.options.get("batch_dims", 0))
    if not 0 <= batch <= min(at, len(indices.shape)) or shape[:batch] != indices.shape[:batch]:
        raise Malformed(f"GATHER {op.index} has batch_dims {batch} for {shape} and indices {indices.shape}")
    try:
        wrong = [value for value in ints(op, graph, 1) if not 0 <= value < shape[at]]
    except Unchecked:
        wrong = []  # the kernel, if there is one, has to look
    if wrong:
        raise Malformed(f"GATHER {op.index} picks element {wrong[0]} of an axis of {shape[at]}")
    return [(*shape[:at], *indices.shape[batch:], *shape[at + 1 :])]


def reverse(op: Op, graph: Graph) -> list[Shape]:
    """REVERSE_V2 along the axes in a constant."""
    shape = data(op, graph, 0).shape
    axes = [axis(op, value, len(shape)) for value in ints(op, graph, 1)]
    if len(set(axes)) < len(axes):
        raise Malformed(f"REVERSE_V2 {op.index} reverses axes {axes}")
    return [shape]


def depth_to_space(op: Op, graph: Graph) -> list[Shape]:
    """DEPTH_TO_SPACE: block * block channels become a block of the image."""
    shape, block = data(op, graph, 0).shape, positive(op, "block_size")
    if len(shape) != 4 or shape[3] % (block * block):
        raise Malformed(f"DEPTH_TO_SPACE {op.index} makes blocks of {block} of {shape}")
    return [(shape[0], shape[1] * block, shape[2] * block, shape[3] // (block * block))]


def space_to_depth(op: Op, graph: Graph) -> list[Shape]:
    """SPACE_TO_DEPTH: a block of the image becomes block * block times the channels."""
    shape, block = data(op, graph, 0).shape, positive(op, "block_size")
    if len(shape) != 4 or shape[1] % block or shape[2] % block:
        raise Malformed(f"SPACE_TO_DEPTH {op.index} makes blocks of {block} of {shape}")
    return [(shape[0], shape[1] // block, shape[2] // block, shape[3] * block * block)]


def batches(op: Op, graph: Graph) -> list[Shape]:
    """SPACE_TO_BATCH_ND after padding, BATCH_TO_SPACE_ND before cropping; block sizes and amounts in constants."""
    shape, blocks, amounts = data(op, graph, 0).shape, ints(op, graph, 1), ints(op, graph, 2)
    middle, factor = shape[1 : 1 + len(blocks)], math.prod(blocks)
    whole = len(shape) in (3, 4) and len(blocks) == len(shape) - 2 and len(amounts) == 2 * len(blocks)
    if not whole or any(not 0 < n < LARGEST for n in blocks) or any(not 0 <= n < LARGEST for n in amounts):
        raise Malformed(f"{op.kind} {op.index} has blocks {blocks} and amounts {amounts} for {shape}")
    both = [before + after for before, after in zip(amounts[::2], amounts[1::2], strict=True)]
    if op.kind == "SPACE_TO_BATCH_ND":
        sizes = [size + extra for size, extra in zip(middle, both, strict=True)]
        rest = any(size % block for size, block in zip(sizes, blocks, strict=True))
        made = (shape[0] * factor, *(size // block for size, block in zip(sizes, blocks, strict=True)), shape[-1])
    else:
        rest = bool(shape[0] % factor)
        sizes = [size * block - less for size, block, less in zip(middle, blocks, both, strict=True)]
        made = (shape[0] // factor, *sizes, shape[-1])
    if rest or min(made) < 1:
        raise Malformed(f"{op.kind} {op.index} has blocks {blocks} and amounts {amounts} for {shape}")
    return [made]


INFER = {
    "TILE": tile, "BROADCAST_TO": broadcast_to, "GATHER": gather, "REVERSE_V2": reverse,
    "DEPTH_TO_SPACE": depth_to_space, "SPACE_TO_DEPTH": space_to_depth,
    "SPACE_TO_BATCH_ND": batches, "BATCH_TO_SPACE_ND": batches,
}  # fmt: skip
