"""Random problems for hypothesis, and an exhaustive planner for tiny ones."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import strategies as st

from targets.tflite_micro.plan.problem import Buffer, Problem, Step


@st.composite
def problems(draw: st.DrawFn, most: int = 9, largest: int = 90, align: int = 0) -> Problem:
    """Graphs with several inputs and outputs, forks, buffers written in parts, variables, scratch and overlaps."""
    sizes = st.integers(1, largest)
    inputs = draw(st.integers(1, 2))
    buffers = [Buffer(key, draw(sizes), True, draw(st.integers(0, 7)) == 0) for key in range(inputs)]
    if draw(st.integers(0, 4)) == 0:
        buffers.append(Buffer(len(buffers), draw(sizes), persistent=True))
    steps: list[Step] = []
    for index in range(draw(st.integers(1, most))):
        known = [buffer.key for buffer in buffers]
        reads = draw(st.lists(st.sampled_from(known[-4:]), min_size=1, max_size=2, unique=True))
        if steps and draw(st.integers(0, 6)) == 0:
            writes = steps[-1].writes  # another part of the same buffer
        else:
            buffers.append(Buffer(len(buffers), draw(sizes), False, draw(st.integers(0, 7)) == 0))
            writes = (buffers[-1].key,)
        reads = [key for key in reads if key not in writes]
        overlap = {key: draw(st.integers(-largest, largest)) for key in reads if draw(st.booleans())}
        steps.append(
            Step(
                f"step {index}",
                tuple(reads),
                writes,
                draw(st.sampled_from((0, 0, largest // 8, largest // 3))),
                overlap,
            )
        )
    grain = align or draw(st.sampled_from((1, 4, 16)))
    return Problem(tuple(buffers), tuple(steps), grain, align or draw(st.sampled_from((4, 16))))


def orders(problem: Problem) -> list[tuple[int, ...]]:
    """All orders that run."""
    count = len(problem.steps)
    return [
        order
        for order in itertools.permutations(range(count))
        if all(order.index(i) < order.index(j) for j in range(count) for i in problem.before[j])
    ]


def smallest(problem: Problem, order: Sequence[int], upper: int, floor: int = 0) -> int:
    """The smallest arena for one order, by trying all offsets; from ``floor`` on; ``upper`` when there is none below.

    Written from the definition of lifetimes and overlaps alone.
    """
    count, live, sharing = len(order), {}, {}
    for buffer in problem.buffers:
        times = [t for t, i in enumerate(order) if buffer.key in problem.steps[i].touches]
        times += [-1] * (buffer.pinned_first or buffer.persistent) + [count] * (buffer.pinned_last or buffer.persistent)
        if times:
            live[buffer.key] = range(min(times), max(times) + 1)
    for time, index in enumerate(order):
        step = problem.steps[index]
        if step.scratch:
            live["scratch", index] = range(time, time + 1)
        for key, gap in step.overlap.items():
            if live[key][-1] == time and live[step.writes[0]][0] == time:
                sharing[key, step.writes[0]] = gap
    names = sorted(live, key=str)
    size = {n: problem.steps[n[1]].scratch if isinstance(n, tuple) else problem.by_key[n].size for n in names}

    def apart(a: object, x: int, b: object, y: int) -> bool:
        if set(live[a]).isdisjoint(live[b]) or x >= y + size[b] or y >= x + size[a]:
            return True
        return ((a, b) in sharing and x - y >= sharing[a, b]) or ((b, a) in sharing and y - x >= sharing[b, a])

    def fits(placed: dict[object, int], rest: list[object], arena: int) -> bool:
        if not rest:
            return True
        name = rest[0]
        grain = problem.scratch_align if isinstance(name, tuple) else problem.align
        return any(
            all(apart(name, x, other, y) for other, y in placed.items()) and fits({**placed, name: x}, rest[1:], arena)
            for x in range(0, arena - size[name] + 1, grain)
        )

    floor = max(floor, *size.values())
    return next((arena for arena in range(floor, upper) if fits({}, names, arena)), upper)
