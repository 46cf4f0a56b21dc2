"""Verdicts on a project's devices before anything is compiled."""

from __future__ import annotations

from targets.base import SupportReport
from targets.registry import load_target
from toolchain.cache import open_cache
from toolchain.progress import Progress
from toolchain.project.models import Project
from toolchain.steps.plan import make_plan
from toolchain.steps.source import open_source


def support(project: Project) -> list[SupportReport]:
    """One report per device entry; a torch model is exported first, because targets read files."""
    cache = open_cache()
    try:
        untrained = project.model_copy(update={"train": None})
        source = open_source(untrained, cache, Progress(quiet=True))
        plans = [make_plan(entry, untrained, source) for entry in project.devices]
        model = source.export({plan.format for plan in plans})
        return [
            load_target(plan.target).support(plan.only_format(model), plan.device, plan.precision) for plan in plans
        ]
    finally:
        cache.close()
