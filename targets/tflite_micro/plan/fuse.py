"""Chooses which calls run row by row: the groups with which the arena is smallest."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from targets.tflite_micro.calls import Call
from targets.tflite_micro.plan.cuts import cut, lowest_peak, runs_of
from targets.tflite_micro.plan.flow import problem_of
from targets.tflite_micro.plan.order import best_order
from targets.tflite_micro.plan.planner import plan
from targets.tflite_micro.plan.problem import Buffer, Problem
from targets.tflite_micro.plan.result import Plan
from targets.tflite_micro.plan.strips import Group
from targets.tflite_micro.plan.tree import Flow


@dataclasses.dataclass(frozen=True)
class Fused:
    """Calls as steps, and the plan for these.

    Attributes:
        problem: one step per unit.
        units: what each step of the problem runs: the index of a call, or a group.
        plan: of the problem; its bound is that with these groups.
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


def fuse(calls: Sequence[Call], buffers: Sequence[Buffer], align: int = 16, *, groups: bool = True) -> Fused:
    """The plan with the smallest arena found; groups only where they make it smaller, of as few calls as possible.

    Without ``groups`` calls run one after the other.

    Raises:
        ValueError: calls and buffers do not fit together (see :class:`problem.Problem`).
    """
    problem = problem_of(calls, buffers, align)
    single = plan(problem)
    best = Fused(problem, tuple(range(len(calls))), single, single.arena)
    if not groups:
        return best
    flow = Flow(calls, buffers)
    for order in dict.fromkeys((problem.file_order, single.order, best_order(problem).order)):
        for found in _candidates(problem, flow, order, best.plan.arena):
            if found.plan.arena < best.plan.arena:
                best = found
    return dataclasses.replace(best, unfused=single.arena)


def _candidates(problem: Problem, flow: Flow, order: Sequence[int], arena: int) -> Iterator[Fused]:
    """Cuts of an order, as long as another one could be better than ``arena``.

    The cut whose busiest run needs the fewest bytes is the best one if offsets can be found that need no more. Where
    they cannot (every step of a chain may shift its tensor a little, and the shifts add up), more groups, or a
    higher peak with other groups, can be better.
    """
    runs = runs_of(problem, flow, order)
    peak = lowest_peak(runs)
    tried: set[tuple[int | tuple[int, ...], ...]] = set()
    for limit in (peak, (peak + arena) // 2):
        for most in (False, True):
            if arena <= peak:
                return
            units = cut(runs, limit, most)
            name = tuple(unit.calls if isinstance(unit, Group) else unit for unit in units)
            if name not in tried:
                tried.add(name)
                found = _fused(problem, units)
                arena = min(arena, found.plan.arena)
                yield found


def _fused(problem: Problem, units: Sequence[int | Group]) -> Fused:
    steps = tuple(unit.step() if isinstance(unit, Group) else problem.steps[unit] for unit in units)
    inner = {key for unit in units if isinstance(unit, Group) for key in unit.inner}
    buffers = tuple(buffer for buffer in problem.buffers if buffer.key not in inner)
    fused = dataclasses.replace(problem, buffers=buffers, steps=steps)
    return Fused(fused, tuple(units), plan(fused), 0)
