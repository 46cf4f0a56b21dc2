"""Which positions of which axes must go together: a union-find over channel positions.

Every position of every axis of a parameter is a node. Operators unite nodes (an addition couples the channels of
both sides) or pin them (nothing may be removed from the model's output). What is left together is one *unit*.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

#: Nodes of positions.
Nodes = npt.NDArray[np.int64]
#: Node of every position of an axis; None for an axis from which nothing can be removed.
Axis = Nodes | None
#: A position that cannot go.
FIXED = 0
#: A position of an axis that is as long as the axis that it meets (a broadcast of one value).
ANY = -1
_FIRST = 1


class Labels:
    """Nodes, what couples them, and why some of them must stay."""

    def __init__(self) -> None:
        self._parent: list[int] = [FIXED]
        self._pins: list[tuple[Nodes, str]] = []
        self._revived: list[Nodes] = []
        self._summed: list[tuple[Nodes, str]] = []

    def fresh(self, count: int) -> Nodes:
        """New nodes, coupled to nothing."""
        start = len(self._parent)
        self._parent.extend(range(start, start + count))
        return np.arange(start, start + count, dtype=np.int64)

    def find(self, node: int) -> int:
        """The root of a node's unit."""
        parent = self._parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def roots(self, axis: Nodes) -> Nodes:
        """The unit of every position."""
        return np.array([self.find(node) if node >= _FIRST else node for node in axis.ravel().tolist()], np.int64)

    def unite(self, one: Axis, other: Axis, why: Callable[[], str]) -> Axis:
        """Couple two axes of the same length, position by position; what meets a fixed position is pinned."""
        if one is None or other is None:
            self.pin(one, why)
            self.pin(other, why)
            return None
        if one is other:
            return one
        for a, b in zip(one.ravel().tolist(), other.ravel().tolist(), strict=True):
            if a >= _FIRST and b >= _FIRST:
                self._join(a, b)
        self.pin(one[(other == FIXED)], why)
        self.pin(other[(one == FIXED)], why)
        return np.where(one == ANY, other, one)

    def _join(self, a: int, b: int) -> None:
        a, b = self.find(a), self.find(b)
        if a != b:
            self._parent[max(a, b)] = min(a, b)

    def fold(self, rows: Nodes, why: Callable[[], str]) -> Nodes:
        """Couple all rows of a 2-D array column by column; the first row."""
        first: Nodes = rows[0]
        for row in rows[1:]:
            self.unite(first, row, why)
        return first

    def pin(self, axis: Axis, why: Callable[[], str]) -> None:
        """These positions must stay."""
        if axis is not None and (axis >= _FIRST).any():
            self._pins.append((axis[axis >= _FIRST], why()))

    def revive(self, axis: Axis) -> None:
        """A zero at these positions does not stay a zero (a sigmoid makes 0.5 of it)."""
        if axis is not None:
            self._revived.append(axis[axis >= _FIRST])

    def add_up(self, axis: Axis, why: Callable[[], str]) -> None:
        """These positions are summed: removing one is zeroing it, as long as its zero stays a zero."""
        if axis is not None:
            self._summed.append((axis[axis >= _FIRST], why()))

    def revived(self) -> set[int]:
        """Units in which a zero does not stay a zero."""
        return {self.find(node) for axis in self._revived for node in axis.tolist()}

    def pinned(self) -> dict[int, str]:
        """Units that must stay, each with the first reason."""
        why: dict[int, str] = {}
        for axis, reason in self._pins:
            for node in axis.tolist():
                why.setdefault(self.find(node), reason)
        revived = self.revived()
        for axis, reason in self._summed:
            for node in axis.tolist():
                if (root := self.find(node)) in revived:
                    why.setdefault(root, reason)
        return why
