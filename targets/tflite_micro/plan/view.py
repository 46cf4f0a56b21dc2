"""A plan as rectangles of time and address, for tables and pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Literal

from targets.tflite_micro.plan.bound import Load, loads
from targets.tflite_micro.plan.problem import Problem, lifetimes
from targets.tflite_micro.plan.result import Plan

Kind = Literal["input", "output", "activation", "persistent", "scratch", "ring"]


@dataclasses.dataclass(frozen=True)
class Block:
    """Memory that is taken from time ``first`` to time ``last``, both included (see :mod:`problem`).

    Attributes:
        kind: what it is for; a ring is the scratch of fused calls: rings of rows, and row buffers.
        name: for people.
        key: of the tensor, or None for scratch.
        offset, size: bytes in the arena.
    """

    kind: Kind
    name: str
    key: int | None
    offset: int
    size: int
    first: int
    last: int

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.offset + self.size


@dataclasses.dataclass(frozen=True)
class Shared:
    """Bytes that an output takes over from an input while one step runs."""

    time: int
    offset: int
    size: int
    before: Block
    after: Block


@dataclasses.dataclass(frozen=True)
class View:
    """Blocks by first use and address, bytes shared, names of the steps in order, and the load of every time."""

    blocks: tuple[Block, ...]
    shared: tuple[Shared, ...]
    steps: tuple[str, ...]
    loads: tuple[Load, ...]

    @property
    def peak(self) -> int:
        """The first time at which the most bytes are needed."""
        return max(range(len(self.loads)), key=lambda i: self.loads[i].bytes) - 1

    def taken(self, time: int) -> int:
        """Bytes in use at one time; those that two blocks share count once."""
        total, reached = 0, 0
        for block in sorted(self._live(time), key=lambda block: block.offset):
            total += max(block.end - max(block.offset, reached), 0)
            reached = max(reached, block.end)
        return total

    def _live(self, time: int) -> Iterator[Block]:
        return (block for block in self.blocks if block.first <= time <= block.last)

    def when(self, time: int) -> str:
        """A time in words."""
        if 0 <= time < len(self.steps):
            return f"step {time} ({self.steps[time]})"
        return "before the first step" if time < 0 else "after the last step"


def view_of(problem: Problem, plan: Plan, names: Mapping[int, str], fused: Mapping[int, object]) -> View:
    """The view of a plan; ``names`` are those of tensors, ``fused`` has the indices of the steps that are groups."""
    spans = lifetimes(problem, plan.order)
    blocks = []
    for key, (first, last) in spans.items():
        buffer, kind = problem.by_key[key], _kind(problem, key)
        name = names.get(key, f"tensor {key}")
        blocks.append(Block(kind, name, key, plan.offsets[key], buffer.size, first, last))
    for time, index in enumerate(plan.order):
        step = problem.steps[index]
        if step.scratch:
            kind, what = ("ring", "rows") if index in fused else ("scratch", "scratch")
            place = plan.scratch_offsets[index]
            blocks.append(Block(kind, f"{what} of {step.name}", None, place, step.scratch, time, time))
    blocks.sort(key=lambda block: (block.first, block.offset, block.last))
    steps = tuple(problem.steps[index].name for index in plan.order)
    return View(tuple(blocks), tuple(_shared(blocks)), steps, loads(problem, plan.order))


def _kind(problem: Problem, key: int) -> Kind:
    buffer = problem.by_key[key]
    if buffer.persistent:
        return "persistent"
    return "input" if buffer.pinned_first else "output" if buffer.pinned_last else "activation"


def _shared(blocks: list[Block]) -> Iterator[Shared]:
    for after in blocks:
        for before in blocks:
            if before.last == after.first and before is not after and before.first < after.first:
                start, end = max(before.offset, after.offset), min(before.end, after.end)
                if start < end:
                    yield Shared(after.first, start, end - start, before, after)
