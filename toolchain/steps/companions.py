"""Bundles built beside those that were asked for, where no number format is always the fastest.

What users of TensorRT complain of most is int8 that is slower than fp16. So a build for such a target makes fp32, fp16
and int8 whenever it makes one of them, and the report shows all three. A companion has no budget, and one that cannot
be built is left out with a note; it never stops the build.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from profiles.errors import EdgewrightError
from targets.base import CALIBRATED, QUANTIZED
from targets.registry import load_target
from toolchain.project.models import Project
from toolchain.project.sections import Budget
from toolchain.steps.plan import Plan
from toolchain.steps.source import ModelSource
from toolchain.summary import NotBuilt


def companions(plans: Sequence[Plan], project: Project, source: ModelSource) -> list[Plan]:
    """One plan per precision that a target shows side by side and nobody asked for, in the order of the entries."""
    names = {plan.name for plan in plans}
    found: list[Plan] = []
    for group in _groups(plans):
        for precision in (name for name in _missing(group) if not _impossible(name, source)):
            plan = _companion(group[0], precision, project)
            if plan.name not in names:
                names.add(plan.name)
                found.append(plan)
    return found


class LeftOut:
    """Companions that cannot be built: each is noted where the user looks, and kept for the summary.

    Args:
        note: tells the user a sentence.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self.rows: list[NotBuilt] = []
        self._note = note

    def impossible(self, plans: Sequence[Plan], source: ModelSource) -> None:
        """What :func:`companions` did not even plan; nobody asked for it, so that the summary alone says it."""
        for group in _groups(plan for plan in plans if not plan.companion):
            for precision in _missing(group):
                if why := _impossible(precision, source):
                    self.rows.append(NotBuilt(group[0].device.name, group[0].target, precision, why))

    def add(self, plan: Plan, error: EdgewrightError) -> None:
        """A companion that was refused, or that failed."""
        why = f"{error.wanted} ({error.seen})" if error.seen else error.wanted
        self.rows.append(NotBuilt(plan.device.name, plan.target, plan.precision, why))
        self._note(f"{plan.name}, for comparison, is left out: {why}")


def _groups(plans: Iterable[Plan]) -> list[list[Plan]]:
    """Plans that differ in nothing but precision, and in how int8 is calibrated."""
    groups: dict[str, list[Plan]] = {}
    same = {"name": "", "precision": "fp32", "budget": Budget(), "calibrator": "minmax"}
    for plan in plans:
        key = plan.entry.model_copy(update=same).model_dump_json()
        groups.setdefault(f"{plan.target} {key}", []).append(plan)
    return list(groups.values())


def _missing(group: Sequence[Plan]) -> list[str]:
    present = {plan.precision for plan in group}
    return [name for name in load_target(group[0].target).side_by_side if name not in present]


def _impossible(precision: str, source: ModelSource) -> str:
    """Why this model cannot be had in a precision; empty when it may."""
    if source.precision in QUANTIZED:
        return f"the model file is quantized to {source.precision} already"
    if precision in CALIBRATED and source.data is None:
        return "there are no samples to calibrate with: add [data] to the project, or give --data"
    return ""


def _companion(plan: Plan, precision: str, project: Project) -> Plan:
    base = plan.name.removesuffix(f"-{plan.precision}")
    entry = plan.entry.model_copy(update={"name": f"{base}-{precision}", "precision": precision, "budget": Budget()})
    return dataclasses.replace(plan, entry=entry, scheme=project.scheme(entry), companion=True)
