"""Bundles built beside those that were asked for, where no number format is always the fastest.

What users of TensorRT complain of most is int8 that is slower than fp16. So a build for such a target makes fp32, fp16
and int8 whenever it makes one of them, and the report shows all three. A companion has no budget, and one that cannot
be built is left out with a note; it never stops the build.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from profiles.errors import EdgewrightError
from targets.base import CALIBRATED, QUANTIZED
from targets.registry import load_target
from toolchain.project.models import Project
from toolchain.project.sections import Budget
from toolchain.steps.plan import Plan
from toolchain.steps.source import ModelSource


def companions(plans: Sequence[Plan], project: Project, source: ModelSource) -> list[Plan]:
    """One plan per precision that a target shows side by side and nobody asked for, in the order of the entries."""
    if source.precision in QUANTIZED:
        return []
    names = {plan.name for plan in plans}
    found: list[Plan] = []
    for group in _groups(plans):
        for precision in _missing(group, source):
            plan = _companion(group[0], precision, project)
            if plan.name not in names:
                names.add(plan.name)
                found.append(plan)
    return found


def _groups(plans: Iterable[Plan]) -> list[list[Plan]]:
    """Plans that differ in precision alone."""
    groups: dict[str, list[Plan]] = {}
    for plan in plans:
        key = plan.entry.model_copy(update={"name": "", "precision": "fp32", "budget": Budget()}).model_dump_json()
        groups.setdefault(f"{plan.target} {key}", []).append(plan)
    return list(groups.values())


def _missing(group: Sequence[Plan], source: ModelSource) -> list[str]:
    present = {plan.precision for plan in group}
    wanted = load_target(group[0].target).side_by_side
    return [name for name in wanted if name not in present and not (name in CALIBRATED and source.data is None)]


def _companion(plan: Plan, precision: str, project: Project) -> Plan:
    base = plan.name.removesuffix(f"-{plan.precision}")
    entry = plan.entry.model_copy(update={"name": f"{base}-{precision}", "precision": precision, "budget": Budget()})
    return dataclasses.replace(plan, entry=entry, scheme=project.scheme(entry), companion=True)


def left_out(plan: Plan, error: EdgewrightError) -> str:
    """What the user is told of a companion that cannot be built."""
    seen = f" ({error.seen})" if error.seen else ""
    return f"{plan.name}, for comparison, is left out: {error.wanted}{seen}"
