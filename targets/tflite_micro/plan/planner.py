"""From a problem to a plan: the order of the file first, another one only where it saves bytes."""

from __future__ import annotations

from collections.abc import Sequence

from targets.tflite_micro.plan.bound import bound_of_any_order, bound_of_order
from targets.tflite_micro.plan.items import items_of
from targets.tflite_micro.plan.offsets import Layout, lay_out
from targets.tflite_micro.plan.order import best_order
from targets.tflite_micro.plan.problem import Problem, padded
from targets.tflite_micro.plan.result import Plan


def plan(problem: Problem, reorder: bool = True) -> Plan:
    """The smallest arena found.

    The steps stay in the order of the file unless ``reorder`` is allowed and another order needs fewer bytes.
    Deterministic; the effort is limited by counts, to about a second for 30 steps and ten for 300.
    """
    order = problem.file_order
    bound = bound_of_order(problem, order)
    layout = lay_out(items_of(problem, order), bound)
    if not reorder or _only_order(problem):
        return _plan(problem, order, layout, bound, _only_order(problem))
    found = best_order(problem)
    least = _any_bound(problem, found.peak if found.exact else 0)
    if layout.top > least and found.order != order:
        own = bound_of_order(problem, found.order)
        other = lay_out(items_of(problem, found.order), own) if own < layout.top else layout
        if other.top < layout.top:
            order, layout = found.order, other
    if not found.exact and layout.top > least:  # a bound for all orders says little here
        return _plan(problem, order, layout, bound_of_order(problem, order), False)
    return _plan(problem, order, layout, least, True)


def _only_order(problem: Problem) -> bool:
    """Whether every step needs the one before it."""
    return all(i == 0 or i - 1 in before for i, before in enumerate(problem.before))


def _any_bound(problem: Problem, peak: int) -> int:
    """Bytes that no order can do without; ``peak``: that number in whole alignment units, or 0 where not known."""
    sizes = [*(b.size for b in problem.buffers), *(step.scratch for step in problem.steps)]
    align = min(problem.align, problem.scratch_align)
    spare = max((padded(size, align) - size for size in sizes), default=0)
    return max(peak - spare, bound_of_any_order(problem))


def _plan(problem: Problem, order: Sequence[int], layout: Layout, bound: int, every_order: bool) -> Plan:
    items = items_of(problem, order)
    places = list(zip(items.keys, items.steps, layout.offsets, strict=True))
    proved = layout.optimal and (_only_order(problem) or not every_order)
    return Plan(
        order=tuple(order),
        offsets={key: offset for key, _, offset in places if key is not None},
        scratch_offsets={step: offset for key, step, offset in places if key is None},
        arena=layout.top,
        lower_bound=bound,
        every_order=every_order,
        optimal=layout.top <= bound or proved,
        method=layout.method + ("" if tuple(order) == problem.file_order else ", steps reordered"),
    )
