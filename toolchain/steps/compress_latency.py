"""How fast the models between the steps of a recipe are on the project's devices.

Before and after a step are exported, built and measured as the build does it, in turn in one run, so that what else
the machine does falls on both.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiles.errors import ConfigError, EdgewrightError, UnsupportedError
from profiles.machine import describe, snapshot
from profiles.measurement import Metric, comparable, unavailable
from profiles.sampling import Settings
from profiles.suggest import did_you_mean
from targets.artifact import load_artifact
from toolchain.cache import source_digest
from toolchain.compress.clock import Comparison
from toolchain.compress.recipe import uses_clock
from toolchain.compress.rows import START, Speed
from toolchain.compress.stages import Stage, model_digest
from toolchain.steps.compile import build_one
from toolchain.steps.compress_duel import FIGURES, Duel, best_figure, duel, paced
from toolchain.steps.plan import Plan, make_plans
from toolchain.steps.torch_exports import TorchExports, model_files
from toolchain.steps.torch_stage import Candidate, Staged

if TYPE_CHECKING:
    import torch

    from toolchain.project.recipe import StepOptions
    from toolchain.steps.torch_source import TorchSource


def open_clock(source: TorchSource, settings: Settings | None) -> DeviceClock | None:
    """Who measures the models of a project; None where it has no device, or nothing is to be measured."""
    if settings is None or not source.project.devices:
        return None
    return DeviceClock(source, paced(settings))


@dataclasses.dataclass(frozen=True)
class _Failed:
    """Why there is no bundle."""

    reason: str


class DeviceClock:
    """See :class:`toolchain.compress.clock.Clock`."""

    def __init__(self, source: TorchSource, settings: Settings) -> None:
        self._source, self._settings = source, settings
        self._plans = {plan.name: plan for plan in make_plans(source.project, source)}
        self._exports: dict[str, TorchExports] = {}
        self._seconds: dict[tuple[str, str], float] = {}
        self._yardsticks: dict[str, tuple[Path, float]] = {}

    def prepare(self, start: Stage, steps: Sequence[StepOptions]) -> None:
        """Build the model as it is for every device: what no exporter knows is refused before anything is trained.

        Raises:
            UnsupportedError: naming the operator and the line; or a step needs times of a device that has none.
            ConfigError: a step needs times of a device that is not part of this run.
        """
        for plan in self._plans.values():
            self._bundle(self._staged(start), plan)
        for options in (each for each in steps if uses_clock(each)):
            plan = self._plan(self.device(options.device))
            key = (plan.name, _structure(start.model))
            self._seconds.setdefault(key, self._measure(self._staged(start), plan))

    def device(self, wanted: str | None) -> str:
        """The name of the entry; None means the first one."""
        return wanted or next(iter(self._plans))

    def identity(self, wanted: str | None) -> Mapping[str, Any]:
        """The entry, and the machine that stands in for it where nothing else does."""
        plan = self._plan(self.device(wanted))
        return {"device": plan.device, "target": plan.target, "scheme": plan.scheme, **self._place(plan)}

    def compare(self, before: Stage, after: Stage) -> Mapping[str, Comparison]:
        """Both models on every device."""
        return {name: self._compare(before, after, plan) for name, plan in self._plans.items()}

    def seconds(self, model: torch.nn.Module, device: str) -> float:
        """One inference, by structure: models with layers of equal shapes are measured once.

        The model at the start is the yardstick: the others are measured in turn with it.

        Raises:
            ConfigError: no such device among those of this run.
            UnsupportedError: it cannot run the model, or has no clock.
        """
        plan = self._plan(device or self.device(None))
        key = (plan.name, _structure(model))
        if key not in self._seconds:
            candidate = Candidate(f"candidate {model_digest(model)}", model)
            self._seconds[key] = self._measure(Staged(self._source.model, candidate), plan)
        return self._seconds[key]

    def _measure(self, staged: Staged, plan: Plan) -> float:
        bundle = self._bundle(staged, plan)
        if isinstance(bundle, _Failed):
            raise UnsupportedError(f"wanted a time of one inference on {plan.name}", seen=bundle.reason)
        yardstick, seconds = self._yardsticks.get(plan.name, (bundle, 0.0))
        found = self._duel(yardstick, bundle, plan)
        before, after = found.first[FIGURES[0]], found.second[FIGURES[0]]
        for metric in (before, after):
            if not metric.value:
                seen = metric.reason or "0 s"
                hint = "ask for params or macs, or name a device that this machine can run"
                raise UnsupportedError(f"wanted a time of one inference on {plan.name}", seen=seen, next_step=hint)
        assert before.value and after.value
        self._yardsticks.setdefault(plan.name, (bundle, after.value))
        return seconds * after.value / before.value if seconds else after.value

    def _compare(self, before: Stage, after: Stage, plan: Plan) -> Comparison:
        old, new = (self._bundle(self._staged(stage), plan) for stage in (before, after))
        if isinstance(old, _Failed) or isinstance(new, _Failed):
            return Comparison(_missing(old, new), _missing(new, old))
        found = self._duel(old, new, plan)
        name = best_figure(found)
        first, second = found.first[name], found.second[name]
        return Comparison(first, second, speed_of(first, second, found.ratios.get(name, ())))

    def _plan(self, name: str) -> Plan:
        if name in self._plans:
            return self._plans[name]
        raise ConfigError(
            "a step is for a device that is not part of this run",
            seen=name,
            allowed=", ".join(self._plans),
            next_step=did_you_mean(name, self._plans) or "leave out --device, or change the step's device",
        )

    def _staged(self, stage: Stage) -> Staged:
        """The start is the same as without any compression, and shares its files."""
        return Staged(self._source.model, None if stage.row.step == START else stage)

    def _bundle(self, staged: Staged, plan: Plan) -> Path | _Failed:
        """The bundle of one stage, or why there is none; an export that fails is an error.

        Raises:
            UnsupportedError, ModelError: the model cannot be exported.
        """
        exports = self._exports.setdefault(staged.title, TorchExports(staged))
        files = model_files(exports, (plan.format,))
        try:
            job = dataclasses.replace(plan.job(self._source, files), title=f"{staged.title} for {plan.name}")
            return build_one(job, staged.cache, staged.progress)
        except EdgewrightError as error:
            return _Failed(f"{error.wanted}: {error.seen}" if error.seen else error.wanted)

    def _duel(self, first: Path, second: Path, plan: Plan) -> Duel:
        """From the cache where these very bundles were measured on this machine before."""
        artifacts = (load_artifact(first, verify=False), load_artifact(second, verify=False))
        via = plan.entry.via or ""
        why = next((artifact.not_run for artifact in artifacts if artifact.not_run and not via), "")
        if why:
            missing = {name: unavailable(name, why) for name in FIGURES}
            return Duel(missing, missing)
        inputs = {
            "bundles": [artifact.digest() for artifact in artifacts],
            "settings": self._settings,
            "code": source_digest("profiles", "toolchain.steps.compress_duel", "toolchain.steps.duel_worker"),
            **self._place(plan),
        }

        def produce(out: Path) -> None:
            found = duel(artifacts, self._settings, via, step.update)
            (out / "figures.json").write_text(json.dumps(found.as_dict()))

        with self._source.model.progress.step(f"measure before and after on {plan.name}") as step:
            cached = self._source.model.cache.folder("duel", inputs, produce)
            step.cached = cached.hit
        return Duel.from_dict(json.loads((cached.path / "figures.json").read_text()))

    @staticmethod
    def _place(plan: Plan) -> dict[str, str]:
        return {"via": plan.entry.via or "", "machine": describe(snapshot())}


def speed_of(before: Metric, after: Metric, rounds: Sequence[float] = ()) -> Speed | None:
    """How many times faster, where the figures are of one kind.

    The interval is that of the pooled samples, or that of the rounds' ratios where those differ more: each round loads
    the engines anew, and what that does to a model's speed is the same for all samples of the round.
    """
    from toolchain.report.ranking import judge
    from toolchain.report.stats import speed_up, widened

    if not comparable([before, after]) or not before.value or not after.value:
        return None
    ratio = widened(speed_up(before, after), rounds)
    return Speed(ratio.value, ratio.low, ratio.high, judge(ratio).value)


def _missing(bundle: Path | _Failed, other: Path | _Failed) -> Metric:
    """Why a model was not measured: its own fault, or that of the one beside it."""
    if isinstance(bundle, _Failed):
        return unavailable("latency_p50", bundle.reason)
    reason = other.reason if isinstance(other, _Failed) else ""
    return unavailable("latency_p50", f"nothing to compare with: {reason}")


def _structure(model: torch.nn.Module) -> str:
    """What latency depends on: the layers in torch's words, and all shapes."""
    shapes = [(name, tuple(value.shape)) for name, value in model.state_dict().items()]
    return f"{model!r}{shapes}"
