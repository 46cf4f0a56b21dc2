"""The rest of the page as data: figures, machines, versions, and what is unavailable."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from profiles.measurement import METRIC_UNITS
from toolchain.report.entries import Entry
from toolchain.report.facts import words
from toolchain.report.ranking import LATENCY
from toolchain.report.table import CORE, NOT_LISTED
from toolchain.report.words import KINDS, KindWords, count, explain, listing, show, spread_of, title_of


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line of a bundle's full list of figures."""

    name: str
    text: str
    spread: str
    kind: KindWords
    source: str


def figures(entry: Entry) -> list[Figure]:
    """Every figure of a bundle, in the order of the metric names that all share."""
    order = {name: index for index, name in enumerate(METRIC_UNITS)}
    names = sorted(entry.metrics, key=lambda n: (order.get(n, len(order)), n))
    return [_figure(name, entry) for name in names]


def _figure(name: str, entry: Entry) -> Figure:
    metric = entry.metrics[name]
    text = "–" if metric.value is None else show(name, metric.value)
    raw = f" ({count(len(metric.samples), 'sample')})" if metric.samples else ""
    return Figure(
        title_of(name), text, spread_of(name, metric), KINDS[metric.kind], (metric.reason or metric.method) + raw
    )


@dataclasses.dataclass(frozen=True)
class Shared:
    """One statement with the bundles it holds for; ``everywhere`` where that is all of them."""

    subject: str
    text: str
    where: str
    everywhere: bool


def versions(entries: Sequence[Entry]) -> list[Shared]:
    """Tool versions, each said once, with the bundles it was used for."""
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        for tool, version in (entry.manifest.tools if entry.manifest else {}).items():
            found.setdefault((tool, words(version)), []).append(entry)
    return [_shared(tool, text, users, entries) for (tool, text), users in sorted(found.items(), key=lambda i: i[0])]


def machines(entries: Sequence[Entry]) -> list[Shared]:
    """The machines that the runs took place on."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.profile is not None:
            found.setdefault(entry.profile.machine.description or "not described", []).append(entry)
    return [_shared("machine", text, users, entries) for text, users in found.items()]


def disturbances(entries: Sequence[Entry]) -> list[Shared]:
    """What may have disturbed the runs: unstable ones, the profiler's sentences, and its notes."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        for sentence in _sentences(entry):
            found.setdefault(sentence, []).append(entry)
    return [_shared("", text, users, entries) for text, users in found.items()]


def _sentences(entry: Entry) -> Iterable[str]:
    if entry.profile is None:
        return []
    unstable = ["The run was unstable: its figures move from run to run."] if entry.stable is False else []
    said = [_sentence(text) for text in (*entry.profile.machine.disturbances, *entry.profile.notes) if text]
    return dict.fromkeys([*unstable, *said])


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def unavailable_figures(entries: Sequence[Entry]) -> list[Shared]:
    """What is missing, grouped by reason and bundles."""
    reasons: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        for name in dict.fromkeys([*entry.metrics, *(metric for _, _, metric in CORE)]):
            metric = entry.metrics.get(name)
            if metric is None or not metric.available:
                reasons.setdefault((name, metric.reason if metric else NOT_LISTED), []).append(entry)
    merged: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for (name, reason), users in reasons.items():
        merged.setdefault((reason, tuple(e.number for e in users)), []).append(title_of(name))
    by_number = {e.number: e for e in entries}
    return [
        _shared(listing(names), reason, [by_number[n] for n in numbers], entries)
        for (reason, numbers), names in merged.items()
    ]


def _shared(subject: str, text: str, users: Sequence[Entry], entries: Sequence[Entry]) -> Shared:
    others = [e for e in entries if e not in users]
    if not others:
        return Shared(subject, text, "all bundles" if len(entries) > 1 else "the bundle", True)
    if len(others) == 1 and len(entries) > 3:
        return Shared(subject, text, f"all bundles but {_brief(others[0], entries)}", False)
    return Shared(subject, text, ", ".join(_brief(e, entries) for e in users), False)


def _brief(entry: Entry, entries: Sequence[Entry]) -> str:
    """The shortest name that no other bundle shares."""
    return entry.label if sum(e.short == entry.short for e in entries) > 1 else entry.short


def tensors(entry: Entry) -> list[tuple[str, str]]:
    """Inputs and outputs in words."""
    if entry.manifest is None:
        return []
    both = (("input", entry.manifest.inputs), ("output", entry.manifest.outputs))
    return [(f"{word} {spec.get('name', '')}".strip(), _tensor(spec)) for word, specs in both for spec in specs]


def _tensor(spec: Mapping[str, Any]) -> str:
    shape = " × ".join(str(size) for size in spec.get("shape") or ())
    return " ".join(str(part) for part in (shape, spec.get("layout"), spec.get("dtype")) if part)


def explain_entry(entry: Entry) -> str:
    """The sentence behind the badge of a bundle's latency."""
    metric = entry.metrics.get(LATENCY)
    return explain(metric) if metric else NOT_LISTED
