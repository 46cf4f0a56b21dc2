"""Reshapes: which channels a position of the new axes comes from, and which axis shrinks when channels go."""

from __future__ import annotations

from typing import Any

import numpy as np

from toolchain.compress.structured.groups_labels import ANY, Axis, Nodes
from toolchain.compress.structured.groups_sizes import Size
from toolchain.compress.structured.groups_tracer import Axes, Call

_SIZED = {"view", "reshape", "expand", "zeros", "ones", "empty", "full", "new_zeros", "new_ones", "new_empty",
          "new_full", "rand", "randn", "repeat"}  # fmt: skip


def written_sizes(call: Call, ndim: int) -> list[Any] | None:
    """The sizes as the model's code wrote them; None where they were not (``flatten``)."""
    if call.written is None or call.written[0] not in _SIZED:
        return None
    name, args, kwargs = call.written
    first = 0 if name in ("zeros", "ones", "empty", "full", "rand", "randn") else 1
    given: Any = kwargs.get("size", kwargs.get("shape", args[first:]))
    if len(given) >= 1 and isinstance(given[0], (list, tuple)):
        given = given[0]
    sizes = [size for size in given if isinstance(size, int)]
    return sizes if len(sizes) == ndim else None


def claim(call: Call, size: Any, axis: Axis) -> None:
    """An axis gets a size: a constant keeps it whole, an attribute must follow, another axis must shrink alike."""
    if axis is None or size is None or (not isinstance(size, Size) and size == -1):
        return
    if not isinstance(size, Size):
        call.labels.pin(axis, lambda: call.why(f"its length is the constant {size}"))
    elif size.attribute is not None:
        call.keep(size.attribute, axis)
    elif size.axis is not None:
        _tie(call, size, axis)
    elif not size.computed:
        call.labels.pin(axis, lambda: call.why(f"its length is that of an axis that stays ({int(size)})"))


def _tie(call: Call, size: Size, axis: Nodes) -> None:
    """Two axes must stay equally long."""
    other = size.axis
    assert other is not None
    if len(other) != len(axis) * size.divisor:
        return
    labels = call.labels
    mine, theirs = set(labels.roots(axis).tolist()), set(labels.roots(other).tolist())
    if mine == theirs:
        return
    folded = labels.fold(other.reshape(size.divisor, -1), lambda: call.why("its length is a share of another's"))
    labels.unite(axis, folded, lambda: call.why("its length is that of an axis that stays"))


def reshape(call: Call, axes: Axes, shape: tuple[int, ...], to: tuple[int, ...], sizes: list[Any] | None) -> Axes:
    """Axes after a reshape from ``shape`` to ``to``, both in row-major order.

    Runs of axes with the same product belong together. Where several axes of a run have channels, or the run has
    none, nothing of it can be followed; where one has, the new positions are labelled with it.
    """
    result: list[Axis] = [None] * len(to)
    for old, new in _runs(shape, to):
        flat = _flattened(call, [axes[i] for i in old], [shape[i] for i in old])
        if flat is not None and new:
            shrinks, axis = _spread(call, flat, new, to, sizes)
            result[shrinks] = axis
    return tuple(result)


def _runs(shape: tuple[int, ...], to: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """Shortest runs of axes (without those of length 1) with equal products."""
    left = [i for i, n in enumerate(shape) if n != 1]
    right = [i for i, n in enumerate(to) if n != 1]
    runs = []
    while left and right:
        old, new = [left.pop(0)], [right.pop(0)]
        a, b = shape[old[0]], to[new[0]]
        while a != b:
            if a < b:
                old.append(left.pop(0))
                a *= shape[old[-1]]
            else:
                new.append(right.pop(0))
                b *= to[new[-1]]
        runs.append((old, new))
    return runs


def _flattened(call: Call, axes: list[Axis], shape: list[int]) -> Axis:
    followed = [i for i, axis in enumerate(axes) if axis is not None and (axis != ANY).any()]
    if not followed:
        return axes[0] if len(axes) == 1 else None
    if len(followed) > 1:
        for axis in axes:
            call.labels.pin(axis, lambda: call.why("it is merged with another axis that has channels"))
        return None
    at = followed[0]
    column = np.asarray(axes[at]).reshape([-1 if i == at else 1 for i in range(len(shape))])
    return np.broadcast_to(column, shape).reshape(-1).astype(np.int64)


def _spread(call: Call, flat: Nodes, new: list[int], to: tuple[int, ...], sizes: list[Any] | None) -> tuple[int, Axis]:
    """The axis of a run that shrinks with the channels, and its nodes; the other axes keep their lengths."""
    shrinks = new[0] if len(new) == 1 else _shrinking(new, to, sizes)
    before = int(np.prod([to[i] for i in new if i < shrinks]))
    rows = flat.reshape(before, to[shrinks], -1).transpose(0, 2, 1).reshape(-1, to[shrinks])
    axis = call.labels.fold(rows, lambda: call.why("its channels are laid out over several axes"))
    claim(call, None if sizes is None else sizes[shrinks], axis)
    return shrinks, axis


def _shrinking(new: list[int], to: tuple[int, ...], sizes: list[Any] | None) -> int:
    if sizes is None:
        return max(new, key=lambda i: to[i])

    def rank(i: int) -> tuple[int, int]:
        size = sizes[i]
        if isinstance(size, Size) and size.axis is not None:
            kind = 4
        elif not isinstance(size, Size):
            kind = 3 if size == -1 else 0
        elif size.attribute is not None:
            kind = 1
        else:
            kind = 2 if size.computed else 0
        return kind, to[i]

    return max(new, key=rank)
