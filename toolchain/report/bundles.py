"""One bundle's folded part of the page."""

from __future__ import annotations

import base64
import dataclasses

from targets.base import QUANTIZED
from toolchain.report.entries import Entry
from toolchain.report.facts import Fact, lines, machine_facts
from toolchain.report.layers import Bars, error_bars, time_bars
from toolchain.report.ranking import LATENCY
from toolchain.report.sections import Figure, explain_entry, figures, tensors
from toolchain.report.table import Verdict, verdict
from toolchain.report.trials import Trials, trials
from toolchain.report.words import KINDS, KindWords, show

Lines = list[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Bundle:
    """What the template needs; empty lists where a file is absent. ``memory_plan`` is an SVG in base64, or empty."""

    entry: Entry
    latency: str
    kind: KindWords
    tip: str
    verdict: Verdict
    errors: Bars | None
    no_errors: str
    times: Bars | None
    figures: list[Figure]
    facts: list[Fact]
    settings: Lines
    engine: Lines
    tensors: Lines
    memory_plan: str
    trials: Trials | None


def bundle(entry: Entry) -> Bundle:
    """Gather everything about one bundle."""
    latency = entry.value(LATENCY)
    profile = entry.profile
    return Bundle(
        entry=entry,
        latency="no latency" if latency is None else show(LATENCY, latency),
        kind=KINDS[entry.kind],
        tip=f"{entry.label}, latency p50. {explain_entry(entry)}",
        verdict=verdict(entry),
        errors=error_bars(entry),
        no_errors=_no_errors(entry),
        times=time_bars(entry),
        figures=figures(entry),
        facts=machine_facts(entry),
        settings=lines(profile.settings) if profile else [],
        engine=lines(profile.facts) if profile else [],
        tensors=[*tensors(entry), *_source(entry)],
        memory_plan=base64.b64encode(entry.memory_plan).decode("ascii"),
        trials=trials(entry),
    )


def _no_errors(entry: Entry) -> str:
    if entry.precision not in QUANTIZED:
        return f"Nothing to compare: {entry.precision} is not quantized."
    if entry.errors is None:
        return f"{entry.bundle}/layers.json is absent: a model file that was quantized already has no float layers."
    return "layers.json lists no layer."


def _source(entry: Entry) -> Lines:
    model = entry.manifest.model if entry.manifest else {}
    return [(f"model {key}", str(model[key])) for key in ("name", "source") if model.get(key)]
