"""Plain PyTorch beside the bundles that were asked for, so that every figure has the framework's own to compare with.

A baseline has no budget, and one that cannot be built is left out with a note, like any companion.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from profiles.errors import ConfigError
from targets.registry import BASELINE
from toolchain.project.models import Project
from toolchain.project.sections import Budget
from toolchain.steps.plan import Plan, make_plan
from toolchain.steps.source import ModelSource


def baselines(plans: Sequence[Plan], project: Project, source: ModelSource) -> list[Plan]:
    """One plan per machine and precision of ``[baseline]``, where nobody asked for that bundle anyway.

    Raises:
        ConfigError: a baseline is wanted, and no device of the project runs PyTorch.
    """
    if project.baseline is None:
        return []
    machines = {_machine(plan): plan for plan in reversed(plans) if BASELINE in plan.device.targets}
    if not machines:
        raise ConfigError(
            "wanted a baseline to compare with",
            seen=f"none of the devices runs PyTorch: {', '.join(sorted({plan.device.name for plan in plans}))}",
            next_step="remove the section [baseline], or leave out --baseline",
        )
    asked = {(_machine(plan), plan.precision) for plan in plans if plan.target == BASELINE}
    names = {plan.name for plan in plans}
    found: list[Plan] = []
    for machine, plan in reversed(machines.items()):
        for precision in (name for name in project.baseline.precision if (machine, name) not in asked):
            found.append(_baseline(plan, precision, names, project, source))
            names.add(found[-1].name)
    return found


def _machine(plan: Plan) -> tuple[str, str, int]:
    """What a figure of PyTorch depends on: bundles that agree in it share one baseline."""
    return plan.entry.profile, plan.entry.via or "", plan.entry.threads or 1


def _baseline(plan: Plan, precision: str, taken: set[str], project: Project, source: ModelSource) -> Plan:
    ending = BASELINE if precision == "fp32" else f"{BASELINE}-{precision}"
    wishes = (f"{plan.entry.profile}-{ending}", f"{plan.name}-{ending}", f"{plan.name}-{ending}-baseline")
    name = next(wish for wish in wishes if wish not in taken)
    changes = {"name": name, "target": BASELINE, "precision": precision, "budget": Budget()}
    made = make_plan(plan.entry.model_copy(update=changes), project, source, calibrate=False)
    return dataclasses.replace(made, companion=True)
