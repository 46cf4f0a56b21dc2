"""What the planner answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Plan:
    """Where everything lives.

    Attributes:
        order: indices of the problem's steps as they run.
        offsets: key of every buffer that is used to its place in the arena.
        scratch_offsets: index of every step with scratch to its place.
        arena: bytes.
        lower_bound: bytes that no plan can do without.
        every_order: whether the bound, and ``optimal``, hold for all orders of the steps, or for this one.
        optimal: whether fewer bytes are proved impossible.
        method: how the offsets were found.
    """

    order: tuple[int, ...]
    offsets: Mapping[int, int]
    scratch_offsets: Mapping[int, int]
    arena: int
    lower_bound: int
    every_order: bool
    optimal: bool
    method: str

    def summary(self) -> str:
        """One line for people."""
        scope = "for any order of the steps" if self.every_order else "for this order of the steps"
        proof = f"; proved smallest {scope}" if self.optimal and self.arena > self.lower_bound else ""
        return f"arena {self.arena:,} B; lower bound {self.lower_bound:,} B {scope}{proof}; {self.method}"
