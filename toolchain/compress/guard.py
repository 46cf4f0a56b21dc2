"""Did a step help? What is flagged, and what is rolled back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from toolchain.compress.clock import Comparison
from toolchain.compress.goals import limit, told
from toolchain.compress.rows import Row
from toolchain.project.recipe import StepOptions

HELPED = "helped"


def judged(before: Row, after: Row, options: StepOptions, measured: Mapping[str, Comparison], device: str) -> Row:
    """The row of a step with its latencies, flags, and whether it is kept.

    Steps that change the network are held to the latency on their device, steps that only train to the accuracy.

    Args:
        before: the row of the model that the step began with.
        after: the row of what it made.
        options: of the step.
        measured: both models by device; empty where nobody measures.
        device: the one that the step is for.
    """
    against = [*_costs_accuracy(before, after, options)]
    against += _no_faster(measured, device) if reshapes(options) else _no_better(before, after)
    goal = _misses_goal(before, after, options)
    kept = not (options.guard and against)
    said = () if kept else ("rolled back: the next step begins with the model before this one",)
    return dataclasses.replace(
        after,
        latency={name: each.after for name, each in measured.items()},
        speed={name: each.speed for name, each in measured.items() if each.speed is not None},
        flags=(*after.flags, *goal, *against, *said),
        kept=kept,
    )


def reshapes(options: Any) -> bool:
    """Whether a step changes what is computed, and not only the weights."""
    if options.step == "distill":
        return options.student is not None or options.resolution is not None
    return bool(options.step != "finetune")


def _no_faster(measured: Mapping[str, Comparison], device: str) -> list[str]:
    if not measured:
        return []
    found = measured.get(device)
    if found is None:
        return [f"not measured on {device}: the device is not part of this run"]
    if found.speed is None:
        reason = next((m.reason for m in (found.after, found.before) if not m.available), "figures of different kinds")
        return [f"not measured on {device}: {reason}"]
    if found.speed.judgement == HELPED:
        return []
    how = {"harmed": "slower", "unknown": "not known to be faster"}.get(found.speed.judgement, "not measurably faster")
    return [f"{how} on {device}: {found.speed}"]


def _costs_accuracy(before: Row, after: Row, options: StepOptions) -> list[str]:
    if before.accuracy is None or after.accuracy is None:
        return []
    drop = before.accuracy - after.accuracy
    if drop <= options.max_drop:
        return []
    return [f"costs {100 * drop:.2f} points of accuracy; max_drop allows {100 * options.max_drop:.2f}"]


def _no_better(before: Row, after: Row) -> list[str]:
    if before.accuracy is None or after.accuracy is None or after.accuracy > before.accuracy:
        return []
    return [f"did not raise the accuracy: {100 * before.accuracy:.2f} % before, {100 * after.accuracy:.2f} % after"]


def _misses_goal(before: Row, after: Row, options: Any) -> list[str]:
    """A goal that can be counted, and was not reached, by more than rounding."""
    if not hasattr(options, "goal"):
        return []
    goal = options.goal()
    if goal.kind not in ("params", "macs", "bytes"):
        return []
    wanted, seen = limit(goal, float(getattr(before, goal.kind))), float(getattr(after, goal.kind))
    if seen <= 1.001 * wanted:
        return []
    return [f"{told(goal.kind, seen)} are left; asked for were {told(goal.kind, wanted)}"]
