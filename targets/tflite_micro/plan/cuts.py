"""Cuts an order of calls into runs: single calls, or groups that run row by row.

Dynamic programming: what is live while one run executes does not depend on how the others are cut, since a tensor
that is live across a run cannot be inside a group.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from targets.tflite_micro.plan.bound import load_of, saving
from targets.tflite_micro.plan.problem import Problem, Span, Step, lifetimes
from targets.tflite_micro.plan.strips import Group
from targets.tflite_micro.plan.tree import Flow, groups_of, is_tree

#: Calls in a group, at most.
LONGEST = 12


@dataclasses.dataclass(frozen=True)
class Run:
    """Calls of an order from ``first`` on as one step: what runs them, the bytes that are live, the rows in a group."""

    first: int
    unit: int | Group
    bytes: int
    rows: int


def runs_of(problem: Problem, flow: Flow, order: Sequence[int]) -> list[list[Run]]:
    """For every place in the order the runs that end there."""
    spans = lifetimes(problem, order)
    found: list[list[Run]] = []
    for last, index in enumerate(order):
        step = problem.steps[index]
        ending = [Run(last, index, _bytes(problem, spans, (last, last), step, ()), 0)]
        for first in range(last - 1, max(-1, last - LONGEST), -1):
            members = order[first : last + 1]
            if not flow.by_rows(index) or not flow.by_rows(members[0]):
                break
            groups = groups_of(flow, members) if is_tree(flow, members) else []
            sized = [(_bytes(problem, spans, (first, last), group.step(), group.inner), group) for group in groups]
            if sized:
                size, group = min(sized, key=lambda pair: pair[0])
                ending.append(Run(first, group, size, group.row_calls))
        found.append(ending)
    return found


def lowest_peak(runs: Sequence[Sequence[Run]]) -> int:
    """Bytes that the busiest run of every cut needs at least."""
    peak = [0]
    for ending in runs:
        peak.append(min(max(peak[run.first], run.bytes) for run in ending))
    return peak[-1]


def cut(runs: Sequence[Sequence[Run]], limit: int, most: bool = False) -> list[int | Group]:
    """The cut with no run above ``limit`` bytes, which is at least the lowest peak.

    Among those the one with the fewest calls in groups, or with ``most`` the one with the most; then the one with the
    fewest groups, then with the fewest rows.
    """
    weight = -1 if most else 1
    cost: list[tuple[int, int, int] | None] = [(0, 0, 0)]
    chosen: list[Run] = []
    for end, ending in enumerate(runs, 1):
        options = []
        for run in ending:
            before, calls = cost[run.first], (end - run.first if isinstance(run.unit, Group) else 0)
            if before is not None and run.bytes <= limit:
                options.append(((before[0] + weight * calls, before[1] + (calls > 0), before[2] + run.rows), run))
        best = min(options, key=lambda option: option[0], default=None)
        cost.append(best[0] if best else None)
        chosen.append(best[1] if best else ending[0])
    units, end = [], len(runs)
    while end:
        units.append(chosen[end - 1].unit)
        end = chosen[end - 1].first
    return units[::-1]


def _bytes(problem: Problem, spans: Mapping[int, Span], run: Span, step: Step, inner: Sequence[int]) -> int:
    """Bytes that are live while a run executes."""
    live = [key for key, (first, last) in spans.items() if first <= run[1] and last >= run[0] and key not in inner]
    out = step.writes[0] if step.writes else None
    saved = 0
    if out is not None and spans[out][0] >= run[0]:
        inputs = [
            (problem.by_key[key].size, gap)
            for key, gap in step.overlap.items()
            if key in step.reads and key not in step.writes and spans[key][1] <= run[1]
        ]
        saved = saving(problem, inputs, problem.by_key[out].size)
    return load_of(problem, live, step, saved).bytes
