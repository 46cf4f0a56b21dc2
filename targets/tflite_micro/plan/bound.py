"""Lower bounds: bytes that are live at once, whatever the offsets.

At every time all live buffers and the scratch of the step need bytes of their own, except that a step may save what
it can write over its last-read inputs. Sizes count in whole alignment units; the highest item needs no padding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from targets.tflite_micro.plan.problem import Problem, Step, lifetimes, padded, shares


@dataclasses.dataclass(frozen=True)
class Load:
    """What is live at one time, -1 to ``len(steps)``.

    Attributes:
        buffers: keys of live buffers, sorted.
        scratch: bytes of the step's scratch.
        saved: bytes that overlapping saves at most.
        bytes: that any offsets need.
    """

    buffers: tuple[int, ...]
    scratch: int
    saved: int
    bytes: int


def unit(problem: Problem) -> int:
    """What every offset is a multiple of."""
    return min(problem.align, problem.scratch_align)


def saving(problem: Problem, inputs: Iterable[tuple[int, int]], out: int) -> int:
    """Bytes that (size, smallest safe distance) of inputs can share with an output of ``out`` bytes, at most.

    An input that starts ``d`` bytes behind the output can share ``out - d`` bytes with it; inputs do not share with
    each other.
    """
    step = unit(problem)
    room = padded(out, step)
    return min(room, sum(min(padded(size, step), max(room - padded(max(gap, 0), step), 0)) for size, gap in inputs))


def loads(problem: Problem, order: Sequence[int]) -> tuple[Load, ...]:
    """What is live at each time from -1 to ``len(order)``, in that sequence."""
    spans = lifetimes(problem, order)
    pairs: dict[int, list[tuple[int, int]]] = {}
    outs: dict[int, int] = {}
    for index, read, written, gap in shares(problem, order, spans):
        pairs.setdefault(index, []).append((problem.by_key[read].size, gap))
        outs[index] = problem.by_key[written].size
    steps = [None, *(problem.steps[index] for index in order), None]
    live: list[list[int]] = [[] for _ in steps]
    for key in sorted(spans):
        for time in range(spans[key][0], spans[key][1] + 1):
            live[time + 1].append(key)
    saved = [0, *(saving(problem, pairs.get(index, ()), outs.get(index, 0)) for index in order), 0]
    return tuple(load_of(problem, keys, step, less) for keys, step, less in zip(live, steps, saved, strict=True))


def load_of(problem: Problem, keys: Sequence[int], step: Step | None, saved: int) -> Load:
    """Buffers that are live together with a step's scratch, when the step saves ``saved`` bytes."""
    scratch = step.scratch if step else 0
    sizes = [problem.by_key[key].size for key in keys] + ([scratch] if scratch else [])
    whole = [padded(size, unit(problem)) for size in sizes]
    spare = max((w - size for w, size in zip(whole, sizes, strict=True)), default=0)
    return Load(tuple(keys), scratch, saved, sum(whole) - saved - spare)


def bound_of_order(problem: Problem, order: Sequence[int]) -> int:
    """Bytes that no offsets can do without while the steps run in this order."""
    return max(load.bytes for load in loads(problem, order))


def bound_of_any_order(problem: Problem) -> int:
    """Bytes that no order of the steps can do without (not the largest such number)."""
    above, below = _closures(problem)
    users: dict[int, set[int]] = {buffer.key: set() for buffer in problem.buffers}
    for index, step in enumerate(problem.steps):
        for key in step.touches:
            users[key].add(index)
    ends = [_ends(problem, first) for first in (True, False)]
    return max([*ends, *(_inevitable(problem, users, above[i], below[i], i) for i in range(len(problem.steps)))])


def _closures(problem: Problem) -> tuple[list[set[int]], list[set[int]]]:
    """Steps that must run before, and steps that must run after each step."""
    above: list[set[int]] = []
    for needs in problem.before:
        above.append(set(needs).union(*(above[i] for i in needs)))
    below: list[set[int]] = [set() for _ in above]
    for index, earlier in enumerate(above):
        for i in earlier:
            below[i].add(index)
    return above, below


def _ends(problem: Problem, first: bool) -> int:
    """Bytes of what the caller fills before, or reads after all steps."""
    pinned = [b.key for b in problem.buffers if b.persistent or (b.pinned_first if first else b.pinned_last)]
    return load_of(problem, pinned, None, 0).bytes


def _inevitable(problem: Problem, users: Mapping[int, set[int]], above: set[int], below: set[int], index: int) -> int:
    """Bytes that are live while one step runs, in every order."""
    step = problem.steps[index]
    live = set(step.touches)
    for buffer in problem.buffers:
        early = buffer.pinned_first or bool(users[buffer.key] & above)
        late = buffer.pinned_last or bool(users[buffer.key] & below)
        if buffer.persistent or (early and late):
            live.add(buffer.key)
    saved = 0
    if step.writes and not (problem.by_key[step.writes[0]].persistent or problem.by_key[step.writes[0]].pinned_first):
        gone = [key for key in step.overlap if key in step.reads and not problem.by_key[key].pinned_last]
        inputs = [(problem.by_key[key].size, step.overlap[key]) for key in gone if not users[key] & below]
        saved = saving(problem, inputs, problem.by_key[step.writes[0]].size)
    return load_of(problem, sorted(live), step, saved).bytes
