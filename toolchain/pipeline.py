"""From a project to measured, verified bundles: the whole flow on one screen.

project → samples → weights → compression → exports (parity) → per device: support → quantize → compile → golden check
→ accuracy → profile → budget → bundle → summary and report.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from profiles.errors import EdgewrightError, UnsupportedError
from profiles.measurement import Metric, unavailable
from profiles.sampling import Settings
from targets.artifact import Artifact, load_artifact
from targets.base import ExportedModel
from toolchain.budget import check_budget
from toolchain.cache import Cache, open_cache
from toolchain.progress import Progress
from toolchain.project.models import Project
from toolchain.steps.baseline import baselines
from toolchain.steps.companions import LeftOut, companions
from toolchain.steps.compile import Made, build_all
from toolchain.steps.deliver import Delivery
from toolchain.steps.entry import accuracies, is_run, not_judged, notes_of
from toolchain.steps.evaluate import bundle_accuracy, refuse_classes
from toolchain.steps.figures import golden_metrics, layer_rows, size_metrics
from toolchain.steps.plan import Plan, make_plans, refuse_unsupported
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
        EdgewrightError: the first thing that stands in the way; what earlier builds left stays as it is.
    """
    progress = progress or Progress(quiet=True)
    with open_cache(reuse=options.cache, note=progress.note) as cache, Delivery(options.out) as delivery:
        source = open_source(project, cache, progress, options.settings if options.profile else None)
        plans = make_plans(project, source)
        plans += companions(plans, project, source)
        plans += baselines(plans, project, source)
        left_out = LeftOut(progress.note)
        left_out.impossible(plans, source)
        delivery.check(plan.name for plan in plans)
        formats = {plan.format for plan in plans}
        progress.planned = source.steps(formats) + sum(steps_of(plan, source, options) for plan in plans)
        plans = refuse(plans, source.files(formats), source, left_out)
        model = source.export(formats)
        made = build_all([plan.job(source, model) for plan in plans], cache, options.jobs, progress)
        site = Site(source, source.float_accuracy(), cache, delivery, options, progress)
        entries = list(measured(plans, made, site, left_out))
        return delivery.finish(BuildResult(options.out, tuple(entries), tuple(left_out.rows), source.rows()))


def steps_of(plan: Plan, source: ModelSource, options: Options) -> int:
    """How many steps the user will see for one bundle: making it, its accuracy, its profile."""
    return 1 + (not not_judged(plan, source)) + options.profile


def measured(plans: Sequence[Plan], made: Sequence[Made], site: Site, left_out: LeftOut) -> Iterator[Entry]:
    """All bundles with their figures; companions that could not be built or measured are noted and left out."""
    for plan, result in zip(plans, made, strict=True):
        try:
            if not isinstance(result, Path):
                raise result
            yield measure(plan, result, site)
        except EdgewrightError as error:
            if not plan.companion:
                raise
            site.delivery.withdraw(plan.name)
            left_out.add(plan, error)


def refuse(plans: Sequence[Plan], files: ExportedModel, source: ModelSource, left_out: LeftOut) -> list[Plan]:
    """Refuse what cannot work before an engine is started; the plans that are left, without refused companions.

    Raises:
        UnsupportedError: a target says no, and why.
        DataError: the data has classes that the model cannot answer.
    """
    kept = []
    for plan in plans:
        try:
            refuse_unsupported(plan.support(files))
            kept.append(plan)
        except UnsupportedError as error:
            if not plan.companion:
                raise
            left_out.add(plan, error)
    refuse_classes(source.data, source.task, files.outputs)
    return kept


@dataclasses.dataclass(frozen=True)
class Site:
    """What all bundles of one build share."""

    source: ModelSource
    float_accuracy: Metric
    cache: Cache
    delivery: Delivery
    options: Options
    progress: Progress

    def accuracy(self, plan: Plan, artifact: Artifact) -> Metric:
        """Of one bundle; a step that the user sees only where there is something to count."""
        if reason := not_judged(plan, self.source):
            return unavailable("accuracy", reason)
        with self.progress.step(f"accuracy of {plan.name}") as step:
            return bundle_accuracy(artifact, self.source.data, self.source.task, self.cache, step)


def measure(plan: Plan, folder: Path, site: Site) -> Entry:
    """Accuracy, profile and budget of one built bundle, which is staged for delivery."""
    artifact = load_artifact(folder, verify=False)
    accuracy = site.accuracy(plan, artifact)
    ran = {**golden_metrics(artifact), **accuracies(accuracy, site.float_accuracy)}
    metrics = {**site.source.metrics(), **size_metrics(artifact), **plan.as_run(ran)}
    staged = site.delivery.stage(plan.name, folder)
    profile = plan.profile(staged, site.options.settings, site.progress) if site.options.profile else None
    metrics |= profile.metrics if profile else {}
    return Entry(
        name=plan.name,
        device=plan.device.name,
        target=plan.target,
        precision=plan.precision,
        bundle=site.delivery.out / plan.name,
        metrics=metrics,
        budget=check_budget(plan.entry.budget, metrics),
        layers=layer_table(profile.as_dict()["layers"] if profile else [], layer_rows(folder)),
        executed=profile.executed if profile else {},
        stable=profile.stable if profile and is_run(plan, artifact) else None,
        notes=(*notes_of(plan, artifact), *(profile.notes if profile else ())),
    )
