"""Exact search for offsets: branch and bound over which item of a pair lies above the other.

A disjunctive program as in job-shop scheduling (Carlier and Pinson 1989): every pair of rivals gets one of its
two orders; lowest and highest start of every item follow by propagation. Negative distances are allowed, so
that the search is complete for pairs that overlap, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from targets.tflite_micro.plan.items import Items
from targets.tflite_micro.plan.problem import padded

#: (lower, upper, least distance of their starts)
Edge = tuple[int, int, int]


@dataclasses.dataclass
class _Bounds:
    """Lowest and highest start of every item, edges that are decided, and pairs that are not."""

    low: list[int]
    high: list[int]
    edges: list[Edge]
    open: list[tuple[Edge, Edge]]

    def copy(self) -> _Bounds:
        return _Bounds(self.low[:], self.high[:], self.edges[:], self.open[:])

    def room(self, edge: Edge) -> int:
        """By how much the two could be further apart."""
        lower, upper, gap = edge
        return self.high[upper] - self.low[lower] - gap


def search(items: Items, upper: int, bound: int, work: int) -> tuple[Sequence[int] | None, bool]:
    """Offsets that need less than ``upper`` bytes, or None; and whether no offsets need fewer bytes.

    Stops at ``bound`` bytes, or after about ``work`` pairs of items were looked at.
    """
    solver = _Search(items, upper, work)
    while solver.limit >= bound and solver.solve():
        pass
    proved = solver.work > 0 or (solver.best is not None and items.top(solver.best) <= bound)
    return solver.best, proved


class _Search:
    """Depth first; every solution tightens the limit for the rest."""

    def __init__(self, items: Items, upper: int, work: int) -> None:
        self.items, self.work, self.limit = items, work, upper - 1
        self.best: list[int] | None = None

    def solve(self) -> bool:
        """Look for one solution within the limit; False when there is none, or the work is used up."""
        stack = [self._root()]
        while stack and self.work > 0:
            bounds = stack.pop()
            if not self._propagate(bounds):
                continue
            pair = self._violated(bounds)
            if pair is None:
                self.best = bounds.low
                self.limit = self.items.top(bounds.low) - 1
                return True
            bounds.open.remove(pair)
            for edge in sorted(pair, key=bounds.room):  # the order with more room is on top of the stack
                stack.append(bounds.copy())
                stack[-1].edges.append(edge)
        return False

    def _root(self) -> _Bounds:
        items = self.items
        high = [(self.limit - size) // align * align for size, align in zip(items.sizes, items.aligns, strict=True)]
        pairs = [
            ((j, i, above), (i, j, below))
            for i, rivals in enumerate(items.rivals)
            for j, above, below in rivals
            if j < i
        ]
        return _Bounds([0] * len(items), high, [], pairs)

    def _propagate(self, bounds: _Bounds) -> bool:
        """Tighten until nothing changes; False when an item has no place left."""
        while True:
            if not self._along_edges(bounds):
                return False
            decided = self._decide(bounds)
            if decided is None:
                return False
            if not decided:
                return True

    def _along_edges(self, bounds: _Bounds) -> bool:
        low, high, aligns = bounds.low, bounds.high, self.items.aligns
        changed = True
        while changed:
            changed = False
            self.work -= len(bounds.edges)
            for a, b, gap in bounds.edges:
                if low[b] < low[a] + gap:
                    low[b] = padded(low[a] + gap, aligns[b])
                    changed = True
                if high[a] > high[b] - gap:
                    high[a] = (high[b] - gap) // aligns[a] * aligns[a]
                    changed = True
            if any(lowest > highest for lowest, highest in zip(low, high, strict=True)):
                return False
        return True

    def _decide(self, bounds: _Bounds) -> bool | None:
        """Settle pairs with one order left; whether there was one, or None when a pair has none left."""
        low, high, undecided, found = bounds.low, bounds.high, [], False
        self.work -= len(bounds.open)
        for pair in bounds.open:
            possible = [(a, b, gap) for a, b, gap in pair if low[a] + gap <= high[b]]
            if not possible:
                return None
            if len(possible) == 1:
                bounds.edges.append(possible[0])
                found = True
            elif not any(high[a] + gap <= low[b] for a, b, gap in pair):
                undecided.append(pair)  # a pair that is apart wherever the two end up needs no decision
        bounds.open = undecided
        return found

    @staticmethod
    def _violated(bounds: _Bounds) -> tuple[Edge, Edge] | None:
        """The tightest pair that is not apart when every item is as low as it can be."""
        low = bounds.low
        wrong = [pair for pair in bounds.open if not any(low[a] + gap <= low[b] for a, b, gap in pair)]
        if not wrong:
            return None
        return min(wrong, key=lambda pair: sorted(bounds.room(edge) for edge in pair))
