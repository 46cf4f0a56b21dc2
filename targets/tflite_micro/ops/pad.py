"""PAD, PADV2, MIRROR_PAD, SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: a fill, and strided copies."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from targets.tflite_micro.calls import Call, Rule, Variant, option
from targets.tflite_micro.graph.ir import ITEM_BYTES, Graph, Op, Tensor
from targets.tflite_micro.ops.moves import alone, blank, constant, few_axes, fill, known, move

#: (before, after) per axis.
Amounts = list[tuple[int, int]]


def _amounts(op: Op, graph: Graph, position: int = 1) -> Amounts:
    values = constant(op, graph, position)
    assert values is not None
    return [(int(before), int(after)) for before, after in values.reshape(-1, 2)]


def constant_amounts(op: Op, graph: Graph) -> str:
    """How much is padded is constant and not negative."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    if constant(op, graph, 1) is None:
        return known(op, graph, 1)
    amounts = _amounts(op, graph)
    if min(min(pair) for pair in amounts) < 0 or len(amounts) != len(source.shape):
        return f"{amounts} for {source.shape}"
    shape = tuple(n + sum(pair) for n, pair in zip(source.shape, amounts, strict=True))
    return "" if shape == target.shape else f"{source.shape} with {amounts} for an output of {target.shape}"


def small_elements(op: Op, graph: Graph) -> str:
    """Elements have 1, 2 or 4 bytes."""
    source = graph.tensor(op.inputs[0])
    return "" if ITEM_BYTES[source.dtype] <= 4 else source.dtype


def constant_value(op: Op, graph: Graph) -> str:
    """The value to pad with is constant and has the scale and zero point of the output."""
    if len(op.inputs) < 3:
        return ""
    if constant(op, graph, 2) is None:
        return known(op, graph, 2)
    value, target = graph.tensor(op.inputs[2]), graph.tensor(op.outputs[0])
    same = (value.dtype, value.quantization) == (target.dtype, target.quantization)
    return "" if same and value.elements == 1 else f"'{value.name}' of {value.dtype}, {value.quantization}"


def _zero(tensor: Tensor) -> int:
    return tensor.zero_point if tensor.quantization else 0


def lower_pad(op: Op, graph: Graph, variant: Variant) -> tuple[Call, ...]:
    """A call of ``ew_fill`` for the whole output and one of ``ew_copy`` for the middle."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    given = constant(op, graph, 2)
    value = _zero(target) if given is None else given.reshape(-1)[0]
    middle = tuple(slice(b, b + n) for (b, _), n in zip(_amounts(op, graph), source.shape, strict=True))
    return _filled(fill(target, value), [move(source, blank(source), target, blank(target)[middle])])


def _filled(first: Call, copies: list[Call]) -> tuple[Call, ...]:
    made = alone([first, *copies])
    assert isinstance(made, tuple)
    return made


def reflected_amounts(op: Op, graph: Graph) -> str:
    """Not more is padded than the input has to reflect (without its edge where the mode is reflect)."""
    source, edge = graph.tensor(op.inputs[0]), _edge(op)
    pairs = list(zip(_amounts(op, graph), source.shape, strict=True))
    return "" if all(max(pair) <= n - edge for pair, n in pairs) else f"{_amounts(op, graph)} for {source.shape}"


def few_borders(op: Op, graph: Graph) -> str:
    """At most 2 axes are padded."""
    axes = sum(1 for pair in _amounts(op, graph) if max(pair) > 0)
    return "" if axes <= 2 else f"{axes} axes"


def _edge(op: Op) -> int:
    return 1 if option(op, "mode", "reflect") in ("reflect", 0) else 0


def lower_mirror_pad(op: Op, graph: Graph, variant: Variant) -> Call | tuple[Call, ...]:
    """A call of ``ew_copy`` for the middle and for every border and corner."""
    source, target, edge = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0]), _edge(op)
    axes = [list(_mirrored(n, pair, edge)) for n, pair in zip(source.shape, _amounts(op, graph), strict=True)]
    calls = []
    for region in itertools.product(*axes):
        read = blank(source)[tuple(part for part, _ in region)]
        calls.append(move(source, read, target, blank(target)[tuple(part for _, part in region)]))
    return alone(calls)


def _mirrored(size: int, amount: tuple[int, int], edge: int) -> Iterator[tuple[slice, slice]]:
    """Parts of one axis: where they are read and where they are written."""
    before, after = amount
    if before:
        yield slice(edge, edge + before), slice(before - 1, None, -1)
    yield slice(0, size), slice(before, before + size)
    if after:
        last = size - edge
        yield slice(last - after, last), slice(before + size + after - 1, before + size - 1, -1)


def constant_blocks(op: Op, graph: Graph) -> str:
    """Block shape and crops or paddings are constant, and there are at most 16 blocks."""
    if known(op, graph, 1, 2):
        return known(op, graph, 1, 2)
    blocks = [int(n) for n in constant(op, graph, 1).reshape(-1)]  # type: ignore[union-attr]
    amounts, (deep, wide) = _amounts(op, graph, 2), _deep_and_wide(op, graph)
    count, axes = int(np.prod(blocks)), len(blocks)
    sane = min(blocks) >= 1 and count <= 16 and len(amounts) == axes and min(map(min, amounts)) >= 0
    fits = sane and len(deep.shape) == len(wide.shape) > axes and deep.shape[0] == wide.shape[0] * count
    whole = zip(deep.shape[1:], wide.shape[1:], blocks, amounts, strict=False)
    if fits and all(d * block == w + sum(pair) for d, w, block, pair in whole):
        return ""
    return f"blocks {blocks}, {amounts}, {deep.shape} and {wide.shape}"


def _deep_and_wide(op: Op, graph: Graph) -> tuple[Tensor, Tensor]:
    pair = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    return pair if op.kind == "BATCH_TO_SPACE_ND" else (pair[1], pair[0])


def lower_batches(op: Op, graph: Graph, variant: Variant) -> Call | tuple[Call, ...]:
    """A call of ``ew_copy`` per place in a block, after one of ``ew_fill`` where there are paddings."""
    deep, wide = _deep_and_wide(op, graph)
    blocks = [int(n) for n in constant(op, graph, 1).reshape(-1)]  # type: ignore[union-attr]
    amounts, batch, calls = _amounts(op, graph, 2), wide.shape[0], []
    for number, place in enumerate(itertools.product(*map(range, blocks))):
        parts = [_steps(*one) for one in zip(place, blocks, amounts, wide.shape[1:], strict=False)]
        if all(parts):
            inner = blank(deep)[(slice(number * batch, (number + 1) * batch), *(p[0] for p in parts if p))]
            outer = blank(wide)[(slice(None), *(p[1] for p in parts if p))]
            to_space = op.kind == "BATCH_TO_SPACE_ND"
            calls.append(move(deep, inner, wide, outer) if to_space else move(wide, outer, deep, inner))
    if op.kind == "SPACE_TO_BATCH_ND" and any(max(pair) for pair in amounts):
        return _filled(fill(deep, _zero(deep)), calls)
    return alone(calls)


def _steps(place: int, block: int, amount: tuple[int, int], size: int) -> tuple[slice, slice] | None:
    """Along one axis, the elements of one place in a block: in the batch, and in space."""
    first = -(-(amount[0] - place) // block) if place < amount[0] else 0
    start = first * block + place - amount[0]
    count = -(-(size - start) // block)
    return (slice(first, first + count), slice(start, None, block)) if count > 0 else None


_PAD = (constant_amounts, small_elements)
_MIRROR = (constant_amounts, reflected_amounts, few_borders, few_axes(lower_mirror_pad))
RULES = (
    Rule("PAD", (*_PAD, few_axes(lower_pad)), lower_pad),
    Rule("PADV2", (*_PAD, constant_value, few_axes(lower_pad)), lower_pad),
    Rule("MIRROR_PAD", _MIRROR, lower_mirror_pad),
    Rule("BATCH_TO_SPACE_ND", (constant_blocks, few_axes(lower_batches)), lower_batches),
    Rule("SPACE_TO_BATCH_ND", (constant_blocks, small_elements, few_axes(lower_batches)), lower_batches),
)
