"""What a build would do, without training, exporting, compiling or measuring anything."""

from __future__ import annotations

from pathlib import Path

from profiles.machine import snapshot
from targets.measure import state_is_device
from targets.registry import load_target
from toolchain.cache import open_cache
from toolchain.progress import Progress
from toolchain.project.models import Project
from toolchain.steps.baseline import baselines
from toolchain.steps.companions import companions
from toolchain.steps.plan import Plan, make_plans, refuse_unsupported
from toolchain.steps.source import ModelSource, open_source


def dry_run(project: Project, out: Path, *, cache: bool = True) -> list[dict[str, str]]:
    """One row per bundle: ``bundle``, ``device``, ``target``, ``precision``, ``steps``.

    Raises:
        EdgewrightError: what would stop the build before its first long step.
    """
    with open_cache(reuse=cache) as store:
        source = open_source(project, store, Progress(quiet=True))
        plans = make_plans(project, source)
        plans += companions(plans, project, source)
        plans += baselines(plans, project, source)
        if (model := source.at_hand) is not None:
            for plan in (plan for plan in plans if not plan.companion):
                refuse_unsupported(plan.support(model))
        return [_row(plan, source, out) for plan in plans]


def _row(plan: Plan, source: ModelSource, out: Path) -> dict[str, str]:
    return {
        "bundle": str(out / plan.name),
        "device": plan.device.name,
        "target": plan.target,
        "precision": plan.precision,
        "steps": " → ".join(_steps(plan, source)),
    }


def _steps(plan: Plan, source: ModelSource) -> list[str]:
    quantize = [f"convert to {plan.precision}"] if plan.precision != source.precision else []
    return [*source.planned(plan.format), *quantize, "compile", "check golden outputs", _profile(plan)]


def _profile(plan: Plan) -> str:
    if plan.entry.via:
        return f"profile on {plan.entry.via}"
    if why := load_target(plan.target).absent(plan.device):
        return f"no profile: {why}"
    return "profile here" if state_is_device(plan.device.as_dict(), snapshot()) else "profile here, as a stand-in"
