"""From a project to measured, verified bundles: the whole flow on one screen.

project → samples → weights → exports (parity) → per device: support → quantize → compile → golden check
→ accuracy → profile → budget → bundle → summary and report.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from profiles.measurement import Metric, unavailable
from profiles.sampling import Settings
from targets.artifact import load_artifact
from toolchain.budget import check_budget
from toolchain.cache import Cache, open_cache
from toolchain.progress import Progress
from toolchain.project.models import Project
from toolchain.steps.bundle import golden_metrics, layer_rows, size_metrics
from toolchain.steps.compile import build_all
from toolchain.steps.deliver import Delivery
from toolchain.steps.evaluate import bundle_accuracy
from toolchain.steps.plan import Plan, make_plan
from toolchain.steps.source import ModelSource, open_source
from toolchain.summary import BuildResult, Entry, layer_table


@dataclasses.dataclass(frozen=True)
class Options:
    """How to build, as opposed to what.

    Attributes:
        out: folder for the bundles, the summary and the report.
        jobs: bundles made at the same time; they are always measured one at a time.
        cache: False starts from nothing and keeps nothing.
        settings: how long to measure.
        profile: False builds and verifies only.
    """

    out: Path = Path("build")
    jobs: int = 1
    cache: bool = True
    settings: Settings = dataclasses.field(default_factory=Settings)
    profile: bool = True


def build(project: Project, options: Options, progress: Progress | None = None) -> BuildResult:
    """Build, verify and measure a bundle for every device of the project.

    Raises:
        EdgewrightError: the first thing that stands in the way; finished bundles of earlier builds stay.
    """
    progress = progress or Progress(quiet=True)
    with open_cache(reuse=options.cache) as cache, Delivery(options.out) as delivery:
        source = open_source(project, cache, progress)
        plans = [make_plan(entry, project, source) for entry in project.devices]
        model = source.export({plan.format for plan in plans})
        folders = build_all([plan.job(source, model) for plan in plans], cache, options.jobs, progress)
        site = Site(source, source.float_accuracy(), cache, delivery, options, progress)
        entries = [measure(plan, folder, site) for plan, folder in zip(plans, folders, strict=True)]
        return delivery.finish(BuildResult(options.out, tuple(entries)))


@dataclasses.dataclass(frozen=True)
class Site:
    """What all bundles of one build share."""

    source: ModelSource
    float_accuracy: Metric
    cache: Cache
    delivery: Delivery
    options: Options
    progress: Progress


def measure(plan: Plan, folder: Path, site: Site) -> Entry:
    """Accuracy, profile and budget of one built bundle, which is then put in its place."""
    artifact = load_artifact(folder, verify=False)
    with site.progress.step(f"accuracy of {plan.name}") as step:
        accuracy = bundle_accuracy(artifact, site.source.data, site.source.task, site.cache, step.update)
    ran = {**golden_metrics(artifact), **accuracies(accuracy, site.float_accuracy)}
    metrics = {**site.source.metrics(), **size_metrics(artifact), **plan.as_run(ran)}
    with site.delivery.bundle(plan.name, folder) as staged:
        profile = plan.profile(staged, site.options.settings, site.progress) if site.options.profile else None
    return Entry(
        name=plan.name,
        device=plan.device.name,
        target=plan.target,
        precision=plan.precision,
        bundle=site.delivery.out / plan.name,
        metrics={**metrics, **(profile.metrics if profile else {})},
        budget=check_budget(plan.entry.budget, {**metrics, **(profile.metrics if profile else {})}),
        layers=layer_table(profile.as_dict()["layers"] if profile else [], layer_rows(folder)),
        executed=profile.executed if profile else {},
        stable=profile.stable if profile else None,
        notes=profile.notes if profile else (),
    )


def accuracies(accuracy: Metric, reference: Metric) -> Mapping[str, Metric]:
    """Accuracy of the bundle, and how much of the float model's it lost (negative where it gained)."""
    missing = next((m.reason for m in (accuracy, reference) if not m.available), "")
    if missing or accuracy.value is None or reference.value is None:
        return {"accuracy": accuracy, "accuracy_drop": unavailable("accuracy_drop", missing)}
    drop = Metric(
        reference.value - accuracy.value, "1", accuracy.kind, f"against {reference.method}: {reference.value:.4f}"
    )
    return {"accuracy": accuracy, "accuracy_drop": drop}
