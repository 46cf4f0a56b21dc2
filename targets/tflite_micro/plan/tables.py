"""The memory plan as the contents of ``memory.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from targets.tflite_micro.plan.problem import Problem
from targets.tflite_micro.plan.result import Plan
from targets.tflite_micro.plan.strips import Group
from targets.tflite_micro.plan.view import Block, View, view_of


def memory_dict(
    problem: Problem, plan: Plan, names: Mapping[int, str] | None = None, groups: Mapping[int, Group] | None = None
) -> dict[str, Any]:
    """Figures of a plan, in bytes.

    Times count steps in the order in which they run: -1 is before the first one, ``len(steps)`` behind the
    last. ``first`` and ``last`` are included. ``needed`` are the bytes that a step needs wherever they lie,
    ``taken`` those in use.

    Args:
        problem: that the plan is for.
        plan: what was found.
        names: of tensors.
        groups: fused calls, by index of the step in the problem.
    """
    view = view_of(problem, plan, names or {}, groups or {})
    return {
        "schema": 1,
        "arena": plan.arena,
        "lower_bound": plan.lower_bound,
        "lower_bound_holds_for": "every order of the steps" if plan.every_order else "this order of the steps",
        "proved_smallest": plan.optimal,
        "method": plan.method,
        "alignment": problem.align,
        "peak_step": view.peak,
        "steps": [_step(problem, plan, view, groups or {}, time) for time in range(len(plan.order))],
        "buffers": [_buffer(block) for block in view.blocks],
    }


def _step(problem: Problem, plan: Plan, view: View, groups: Mapping[int, Group], time: int) -> dict[str, Any]:
    index = plan.order[time]
    load, step = view.loads[time + 1], problem.steps[index]
    found: dict[str, Any] = {"step": time, "name": step.name, "needed": load.bytes, "taken": view.taken(time)}
    found |= {"live": list(load.buffers), "scratch": load.scratch, "saved_by_overlap": load.saved}
    if index in groups:
        found["fused"] = {
            "calls": list(groups[index].calls),
            "without_memory": list(groups[index].inner),
            "rows": groups[index].row_calls,
        }
    return found


def _buffer(block: Block) -> dict[str, Any]:
    return {
        "tensor": block.key, "name": block.name, "kind": block.kind, "offset": block.offset, "size": block.size,
        "first": block.first, "last": block.last,
    }  # fmt: skip
