"""The planner's inner form: items, and how far apart each two of them must be.

Every pair of items that are live at the same time asks for one of two things: item ``i`` starts at least
``above`` bytes behind the start of ``j``, or ``j`` at least ``below`` bytes behind ``i``. For most pairs these
are the two sizes; where a step may write over what it reads, one of them is smaller, and may be negative.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from targets.tflite_micro.plan.problem import Problem, Span, lifetimes, shares

#: (other item, above, below): offset >= other + above, or offset <= other - below.
Rival = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Items:
    """All that is placed, for one order of steps.

    Attributes:
        keys: of the buffer, or None for scratch; steps: the step of a scratch, or -1.
        sizes, aligns: in bytes.
        spans: first and last time.
        rivals: of each item.
        mates: of each item: (other item, distance of this item's start behind the other's) where they may overlap.
    """

    keys: tuple[int | None, ...]
    steps: tuple[int, ...]
    sizes: tuple[int, ...]
    aligns: tuple[int, ...]
    spans: tuple[Span, ...]
    rivals: tuple[tuple[Rival, ...], ...]
    mates: tuple[tuple[tuple[int, int], ...], ...]

    def __len__(self) -> int:
        return len(self.sizes)

    def top(self, offsets: Sequence[int]) -> int:
        """Bytes up to the end of the highest item."""
        return max((offset + size for offset, size in zip(offsets, self.sizes, strict=True)), default=0)


def items_of(problem: Problem, order: Sequence[int]) -> Items:
    """Items of a problem with its steps in one order."""
    spans = lifetimes(problem, order)
    keys = sorted(spans)
    worked = [(time, index) for time, index in enumerate(order) if problem.steps[index].scratch]
    sizes = [problem.by_key[key].size for key in keys] + [problem.steps[index].scratch for _, index in worked]
    times = [spans[key] for key in keys] + [(time, time) for time, _ in worked]
    aligns = [problem.align] * len(keys) + [problem.scratch_align] * len(worked)
    index_of = {key: index for index, key in enumerate(keys)}
    pairs = {(index_of[a], index_of[b]): gap for _, a, b, gap in shares(problem, order, spans)}
    rivals = rivals_of(sizes, times, pairs)
    mates: list[list[tuple[int, int]]] = [[] for _ in sizes]
    for (read, written), gap in pairs.items():
        mates[read].append((written, gap))
        mates[written].append((read, -gap))
    return Items(
        keys=(*keys, *(None for _ in worked)),
        steps=(*(-1 for _ in keys), *(index for _, index in worked)),
        sizes=tuple(sizes),
        aligns=tuple(aligns),
        spans=tuple(times),
        rivals=rivals,
        mates=tuple(tuple(found) for found in mates),
    )


def rivals_of(
    sizes: Sequence[int], times: Sequence[Span], pairs: dict[tuple[int, int], int]
) -> tuple[tuple[Rival, ...], ...]:
    """For each item those that are live with it; ``pairs`` maps (read, written) to the smallest safe distance."""
    found: list[list[Rival]] = [[] for _ in sizes]
    live: list[int] = []
    for i in sorted(range(len(sizes)), key=lambda item: times[item]):
        live = [j for j in live if times[j][1] >= times[i][0]]
        for j in live:
            above = pairs.get((i, j), sizes[j])
            below = pairs.get((j, i), sizes[i])
            if above + below > 0:
                found[i].append((j, above, below))
                found[j].append((i, below, above))
        live.append(i)
    return tuple(tuple(sorted(rivals)) for rivals in found)
