"""Two bundles of one device measured in turn: what disturbs the machine falls on both."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from profiles.machine import describe, snapshot
from profiles.measurement import Kind, Metric, as_stand_in, unavailable
from profiles.sampling import Settings
from targets import execute
from targets.artifact import Artifact
from targets.measure import profile_bundle
from targets.stand_in import APART, state_is_device

ROUNDS = 5
#: What tells how fast a bundle is, the first that there is; the last two are of devices without a clock of ours.
FIGURES = ("latency_p50", "cycles", "instructions")
#: Raw samples that are kept of one round.
_KEPT = 100

Figures = Mapping[str, Metric]
Update = Callable[[int, int], None]
Pair = tuple[Artifact, Artifact]


def paced(settings: Settings) -> Settings:
    """What each of the :data:`ROUNDS` rounds measures, so that all of them take about as long as one run would."""
    runs = None if settings.runs is None else max(1, math.ceil(settings.runs / ROUNDS))
    warm = {"warmup_seconds": settings.warmup_seconds / 2, "max_warmup_seconds": settings.max_warmup_seconds / 2}
    return dataclasses.replace(settings, runs=runs, min_runs=20, seconds=settings.seconds / ROUNDS, **warm)


@dataclasses.dataclass(frozen=True)
class Duel:
    """What was found of two bundles.

    Attributes:
        first, second: all of :data:`FIGURES`, the rounds pooled.
        ratios: by figure: the first's over the second's, round by round.
    """

    first: Figures
    second: Figures
    ratios: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        sides = ({name: metric.as_dict() for name, metric in side.items()} for side in (self.first, self.second))
        return {**dict(zip(("first", "second"), sides, strict=True)), "ratios": dict(self.ratios)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Duel:
        """The inverse of :meth:`as_dict`."""
        first, second = (
            {name: Metric.from_dict(metric) for name, metric in data[which].items()} for which in ("first", "second")
        )
        return cls(first, second, {name: tuple(values) for name, values in data["ratios"].items()})


def duel(artifacts: Pair, settings: Settings, via: str, update: Update) -> Duel:
    """Two bundles of one device, measured in turn.

    Here both run in one process; on another machine each round of each is a run of its own.

    Raises:
        EdgewrightError: an engine fails, or the other machine does not answer.
    """
    sides = _elsewhere(artifacts, settings, via, update) if via else _here(artifacts, settings, update)
    first, second = ({name: pooled(name, side) for name in FIGURES} for side in sides)
    return Duel(first, second, {name: ratios(name, *sides) for name in FIGURES})


def best_figure(found: Duel) -> str:
    """The first figure that both have, one that was counted before one that is only estimated."""
    first, second = found.first, found.second
    both = [name for name in FIGURES if first[name].available and second[name].available]
    counted = [name for name in both if first[name].kind is not Kind.ESTIMATED]
    return next(iter((*counted, *both)), FIGURES[0])


def ratios(name: str, first: Sequence[Figures], second: Sequence[Figures]) -> tuple[float, ...]:
    """How many times the second's figure the first's is, in every round that has both."""
    pairs = [(one.get(name), two.get(name)) for one, two in zip(first, second, strict=True)]
    return tuple(one.value / two.value for one, two in pairs if one and two and one.value and two.value)


def _here(artifacts: Pair, settings: Settings, update: Update) -> list[list[Figures]]:
    def on_event(event: execute.Event) -> None:
        if event["event"] == "progress":
            update(int(event["done"]), int(event["total"]))

    request = {
        "action": "duel",
        "bundles": [str(artifact.folder) for artifact in artifacts],
        "settings": settings.as_dict(),
        "rounds": ROUNDS,
    }
    argv = execute.python_argv("toolchain.steps.duel_worker", json.dumps(request))
    explain = functools.partial(execute.crash, "the engine, asked to run two bundles in turn,")
    answer = execute.converse(argv, on_event, env=execute.ONE_THREAD, explain=explain)
    return [[_marked(artifacts[0], figures) for figures in side] for side in answer["rounds"]]


def _marked(artifact: Artifact, figures: Mapping[str, Mapping[str, object]]) -> Figures:
    """A stand-in where this machine is not the device."""
    state, metrics = snapshot(), {name: Metric.from_dict(metric) for name, metric in figures.items()}
    if artifact.device.get("reach") in APART or state_is_device(artifact.device, state):
        return metrics
    return {name: as_stand_in(metric, describe(state)) for name, metric in metrics.items()}


def _elsewhere(artifacts: Pair, settings: Settings, via: str, update: Update) -> list[list[Figures]]:
    sides: list[list[Figures]] = [[], []]
    for number in range(ROUNDS):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            sides[which].append(profile_bundle(artifacts[which], settings, via=via).metrics)
        update(number + 1, ROUNDS)
    return sides


def pooled(name: str, rounds: Sequence[Figures]) -> Metric:
    """The figures of all rounds as one: the median of all samples, in the order of the rounds.

    What an emulator counts is the same in every run: its uncertainty is 0.
    """
    metrics = [figures.get(name) or unavailable(name, "the engine does not tell") for figures in rounds]
    missing = next((metric for metric in metrics if metric.value is None), None)
    if missing is not None:
        return missing
    first = metrics[0]
    if len(metrics) == 1:
        return dataclasses.replace(first, uncertainty=0.0) if first.kind is Kind.SIMULATED else first
    samples = [sample for metric in metrics for sample in _thinned(metric)]
    how = f"{first.method}; {len(metrics)} rounds, in turn with the other model"
    return Metric(statistics.median(samples), first.unit, first.kind, how, samples=tuple(samples))


def _thinned(metric: Metric) -> Sequence[float]:
    """At most :data:`_KEPT` of a round's samples, evenly spread over it."""
    samples = metric.samples or (metric.value or 0.0,)
    step = -(-len(samples) // _KEPT)
    return samples[::step]
