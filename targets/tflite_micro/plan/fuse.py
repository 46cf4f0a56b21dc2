"""Chooses which calls run row by row: the groups with which the busiest step needs the fewest bytes.

For one order of the calls, every way to cut it into runs that are single calls or groups is looked at, by dynamic
programming: what is live while one run executes does not depend on how the others are cut, since a tensor that is
live across a run cannot be inside a group.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from targets.tflite_micro.calls import Call
from targets.tflite_micro.plan.bound import load_of, saving
from targets.tflite_micro.plan.flow import problem_of
from targets.tflite_micro.plan.order import best_order
from targets.tflite_micro.plan.planner import plan
from targets.tflite_micro.plan.problem import Buffer, Problem, Span, Step, lifetimes
from targets.tflite_micro.plan.result import Plan
from targets.tflite_micro.plan.strips import Group
from targets.tflite_micro.plan.tree import Flow, groups_of, is_tree

#: Calls in a group, at most.
LONGEST = 12


@dataclasses.dataclass(frozen=True)
class Fused:
    """Calls as steps, and the plan for these.

    Attributes:
        problem: one step per unit.
        units: what each step of the problem runs: the index of a call, or a group.
        plan: of the problem.
        unfused: bytes of the arena without groups.
    """

    problem: Problem
    units: tuple[int | Group, ...]
    plan: Plan
    unfused: int

    @property
    def grouped(self) -> dict[int, Group]:
        """Groups by index of the step."""
        return {index: unit for index, unit in enumerate(self.units) if isinstance(unit, Group)}

    @property
    def groups(self) -> tuple[Group, ...]:
        """Groups in the order of the steps."""
        return tuple(self.grouped.values())


def fuse(calls: Sequence[Call], buffers: Sequence[Buffer], align: int = 16) -> Fused:
    """The plan with the smallest arena; groups only where they make it smaller, of as few calls as possible."""
    problem = problem_of(calls, buffers, align)
    single = plan(problem)
    best = Fused(problem, tuple(range(len(calls))), single, single.arena)
    flow = Flow(calls, buffers)
    orders = dict.fromkeys((problem.file_order, single.order, best_order(problem).order))
    for order in orders:
        found = _fused(problem, _cut(problem, flow, order), single.arena)
        if found.plan.arena < best.plan.arena:
            best = found
    return best


def _fused(problem: Problem, units: Sequence[int | Group], unfused: int) -> Fused:
    steps = tuple(unit.step() if isinstance(unit, Group) else problem.steps[unit] for unit in units)
    inner = {key for unit in units if isinstance(unit, Group) for key in unit.inner}
    buffers = tuple(buffer for buffer in problem.buffers if buffer.key not in inner)
    fused = dataclasses.replace(problem, buffers=buffers, steps=steps)
    return Fused(fused, tuple(units), plan(fused), unfused)


@dataclasses.dataclass(frozen=True)
class _Run:
    """Calls of an order from ``first`` on as one step: what runs them, the bytes that are live, the rows in a group."""

    first: int
    unit: int | Group
    bytes: int
    rows: int


def _cut(problem: Problem, flow: Flow, order: Sequence[int]) -> list[int | Group]:
    """The cut with the lowest peak, and among those the one with the fewest calls in groups."""
    runs = _runs(problem, flow, order)
    peak = [0]
    for ending in runs:
        peak.append(min(max(peak[run.first], run.bytes) for run in ending))
    cost: list[tuple[int, int, int] | None] = [(0, 0, 0)]  # calls in groups, groups, rows in groups
    chosen: list[_Run] = []
    for end, ending in enumerate(runs, 1):
        options = [
            ((before[0] + calls, before[1] + (calls > 0), before[2] + run.rows), run)
            for run in ending
            if run.bytes <= peak[-1] and (before := cost[run.first]) is not None
            for calls in [end - run.first if run.rows else 0]
        ]
        best = min(options, key=lambda option: option[0], default=None)
        cost.append(best[0] if best else None)
        chosen.append(best[1] if best else ending[0])
    units, end = [], len(order)
    while end:
        units.append(chosen[end - 1].unit)
        end = chosen[end - 1].first
    return units[::-1]


def _runs(problem: Problem, flow: Flow, order: Sequence[int]) -> list[list[_Run]]:
    """For every place in the order the runs that end there."""
    spans = lifetimes(problem, order)
    found: list[list[_Run]] = []
    for last, index in enumerate(order):
        step = problem.steps[index]
        ending = [_Run(last, index, _bytes(problem, spans, (last, last), step, ()), 0)]
        for first in range(last - 1, max(-1, last - LONGEST), -1):
            members = order[first : last + 1]
            if not flow.by_rows(index) or not flow.by_rows(members[0]):
                break
            groups = groups_of(flow, members) if is_tree(flow, members) else []
            sized = [(_bytes(problem, spans, (first, last), group.step(), group.inner), group) for group in groups]
            if sized:
                size, group = min(sized, key=lambda pair: pair[0])
                ending.append(_Run(first, group, size, group.row_calls))
        found.append(ending)
    return found


def _bytes(problem: Problem, spans: dict[int, Span], run: Span, step: Step, inner: Sequence[int]) -> int:
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
