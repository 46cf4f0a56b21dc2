"""Verdicts on a project's devices before anything is compiled."""

from __future__ import annotations

from targets.base import SupportReport
from toolchain.cache import open_cache
from toolchain.progress import Progress
from toolchain.project.models import Project
from toolchain.steps.plan import make_plans
from toolchain.steps.source import open_source


def support(project: Project) -> list[SupportReport]:
    """One report per device entry; a torch model is exported first, because targets read files."""
    with open_cache() as cache:
        untrained = project.model_copy(update={"train": None})
        source = open_source(untrained, cache, Progress(quiet=True))
        plans = make_plans(untrained, source, calibrate=False)
        files = source.files({plan.format for plan in plans})
        return [plan.support(files) for plan in plans]
