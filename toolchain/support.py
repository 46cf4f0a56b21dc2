"""Verdicts on a project's devices before anything is compiled."""

from __future__ import annotations

import dataclasses
from typing import Any

from profiles.sampling import Settings
from targets.base import SupportReport
from toolchain.cache import open_cache
from toolchain.compress.recipe import uses_clock
from toolchain.progress import Progress
from toolchain.project.models import Project
from toolchain.project.steps import Step
from toolchain.steps.plan import make_plans
from toolchain.steps.source import open_source


def support(project: Project) -> list[SupportReport]:
    """One report per device entry; a torch model is compressed and exported first, because targets read files.

    Neither the model nor its compression is trained: verdicts are about what is computed, not how well.
    """
    with open_cache() as cache:
        quick = untrained(project)
        steps = quick.compress.steps
        settings = Settings() if any(uses_clock(step.options) for step in steps) else None
        source = open_source(quick, cache, Progress(quiet=True), settings)
        plans = make_plans(quick, source, calibrate=False)
        files = source.files({plan.format for plan in plans})
        return [_noted(plan.support(files), len(steps)) for plan in plans]


def untrained(project: Project) -> Project:
    """The project without training, and with as little as there can be of it in its compression."""
    steps = tuple(quick for step in project.compress.steps if (quick := _untrained(step)) is not None)
    return project.model_copy(update={"train": None, "compress": project.compress.model_copy(update={"steps": steps})})


def _untrained(step: Step) -> Step | None:
    """A step with the epochs that its method cannot do without: one, or none; None where it only trains."""
    options: Any = step.options
    if step.name == "finetune" or (step.name == "distill" and not options.student):
        return None
    trains = step.name == "distill" or "training" in options.chosen.needs
    most = {
        name: min(getattr(options, name), int(trains)) for name in ("epochs", "sparse_epochs") if hasattr(options, name)
    }
    return step.model_copy(update={"options": options.model_copy(update={**most, "guard": False})})


def _noted(report: SupportReport, steps: int) -> SupportReport:
    if not steps:
        return report
    said = (
        f"told of the model after {steps} step{'s' if steps > 1 else ''} of compression, as they are without training"
    )
    return dataclasses.replace(report, notes=(*report.notes, said))
