"""Number formats side by side: all bundles of one device and engine, and who is best at what."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence

from profiles.device import PRECISIONS
from profiles.measurement import Metric, comparable, unavailable
from targets.registry import TARGETS, load_target
from toolchain.report.entries import Build, Entry
from toolchain.report.ranking import LATENCY, Judgement, judge
from toolchain.report.stats import speed_up
from toolchain.report.table import NOT_LISTED, Column, fitted
from toolchain.report.words import KINDS, KindWords, explain, scale_for

#: Clocks, most telling first: what the GPU itself took, then what the caller waited for.
LATENCIES = ("latency_events_p50", LATENCY)
#: Metric, column group, column title, and whether more is better; None where nothing is to be won.
COLUMNS = (
    ("latency_events_p50", "Latency p50", "events", False),
    (LATENCY, "Latency p50", "host clock", False),
    ("latency_graph_p50", "Latency p50", "graph", False),
    ("latency_transfers_p50", "Latency p50", "with copies", False),
    ("latency_compiled_p50", "Latency p50", "compiled", False),
    ("throughput", "Throughput", "", True),
    ("energy", "Energy", "per run", False),
    ("gpu_memory", "Memory", "GPU", False),
    ("engine_memory", "Memory", "engine", False),
    ("context_memory", "Memory", "context", False),
    ("accuracy", "Accuracy", "top-1", True),
    ("sqnr", "Accuracy", "SQNR", None),
    ("model_size", "Model", "size", False),
    ("kernels", "Kernels", "", False),
    ("dram_bytes", "Moved", "per run", False),
)
#: Shown even where no bundle has them: a missing figure is a finding.
ALWAYS = (LATENCY, "energy", "accuracy", "model_size")
#: The plain framework, shown below the formats of the same device.
BASELINE = "pytorch"
NOT_IN_SUMMARY = "no bundle of this format is in the summary"


@dataclasses.dataclass(frozen=True)
class Format:
    """One row: a bundle, or the reason why there is none."""

    precision: str
    entry: Entry | None
    why: str = ""


@dataclasses.dataclass(frozen=True)
class Group:
    """Everything that was built, or was to be built, for one device with one engine; ``beside`` is the baseline.

    ``among`` tells groups apart that differ in what the project overrides of the device's profile.
    """

    device: str
    target: str
    rows: tuple[Format, ...]
    beside: tuple[Entry, ...] = ()
    among: str = ""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The bundles there are."""
        return tuple(row.entry for row in self.rows if row.entry)

    @property
    def title(self) -> str:
        """``rtx-4070 with tensorrt``, and the first bundle's name where there are several such groups."""
        return f"{self.device} with {self.target}{self.among and f' ({self.among})'}"

    def of(self, precision: str) -> Entry | None:
        """The first bundle of a format."""
        return next((entry for entry in self.entries if entry.precision == precision), None)


def groups(build: Build) -> list[Group]:
    """One group per device and engine whose formats are to be seen side by side, in the summary's order.

    A device that the project has twice, with different overrides, is two devices.
    """
    built: dict[tuple[str, str], dict[str, list[Entry]]] = {}
    for entry in build.entries:
        built.setdefault((entry.device, entry.target), {}).setdefault(_profile(entry), []).append(entry)
    for left in build.not_built:
        built.setdefault((left.device, left.target), {})
    return [
        dataclasses.replace(_group(build, key, mine, wanted), among=mine[0].bundle if len(variants) > 1 else "")
        for key, variants in built.items()
        if (wanted := side_by_side(key[1]))
        for mine in variants.values() or [[]]
    ]


def _profile(entry: Entry) -> str:
    """The device's profile with the project's overrides, as text that is equal where they are."""
    return json.dumps(entry.manifest.device, sort_keys=True) if entry.manifest else ""


def side_by_side(target: str) -> tuple[str, ...]:
    """The formats of an engine that are shown together; none for an engine that this release does not know."""
    return load_target(target).side_by_side if target in TARGETS else ()


def _group(build: Build, key: tuple[str, str], mine: Sequence[Entry], wanted: Iterable[str]) -> Group:
    device, target = key
    left_out = {n.precision: n.why for n in build.not_built if (n.device, n.target) == (device, target)}
    names = dict.fromkeys([*wanted, *(e.precision for e in mine), *left_out])
    rows: list[Format] = []
    for precision in sorted(names, key=_order):
        found = [Format(precision, entry) for entry in mine if entry.precision == precision]
        rows += found or [Format(precision, None, left_out.get(precision, NOT_IN_SUMMARY))]
    beside = [e for e in build.entries if e.device == device and e.target == BASELINE != target]
    return Group(device, target, tuple(rows), tuple(beside))


def _order(precision: str) -> int:
    return PRECISIONS.index(precision) if precision in PRECISIONS else len(PRECISIONS)


def best_of(metrics: Sequence[Metric], *, largest: bool = False) -> set[int]:
    """Places of the best figure and of those not measurably behind it; none where there is nothing to choose from.

    Only figures that may be ranked against each other are (:func:`profiles.measurement.comparable`).
    """
    there = [index for index, metric in enumerate(metrics) if metric.available]
    if len(there) < 2 or not comparable(metrics[index] for index in there):
        return set()
    values = {index: metrics[index].value or 0.0 for index in there}
    first = (max if largest else min)(there, key=lambda index: values[index])
    found = {index for index in there if values[index] == values[first] or _tie(metrics[first], metrics[index])}
    return found if len(found) < len(there) else set()


def _tie(first: Metric, other: Metric) -> bool:
    """Whether two figures with a known spread cannot be told apart."""
    if min(first.value or 0.0, other.value or 0.0) <= 0:
        return False
    return judge(speed_up(first, other)) is Judgement.NOT_MEASURABLY


@dataclasses.dataclass(frozen=True)
class Cell:
    """One figure with the badge of its kind; ``best`` among those that may be ranked against it."""

    text: str
    unit: str
    kind: KindWords
    tip: str
    best: bool


@dataclasses.dataclass(frozen=True)
class Row:
    """One format; ``cells`` is empty where there is no bundle, and ``why`` says why. ``name`` is what people read."""

    name: str
    entry: Entry | None
    cells: tuple[Cell, ...]
    why: str


@dataclasses.dataclass(frozen=True)
class Table:
    """All formats of one group."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def format_table(group: Group) -> Table:
    """The table of one group: a column for every figure that some bundle has, and for those always asked for.

    The baseline's rows come last and take no part in who is best.
    """
    listed = {name for e in (*group.entries, *group.beside) for name, metric in e.metrics.items() if metric.available}
    shown = [column for column in COLUMNS if column[0] in listed or column[0] in ALWAYS]
    columns = tuple(_column(shown, index, group) for index in range(len(shown)))
    cells = [_cells(group, column, largest=more) for column, (*_, more) in zip(columns, shown, strict=True)]
    places = {id(entry): index for index, entry in enumerate(group.entries)}
    rows = [
        Row(r.precision, r.entry, tuple(c[places[id(r.entry)]] for c in cells) if r.entry else (), r.why)
        for r in group.rows
    ]
    rows += [Row(e.short, e, tuple(_cell(e, _metric(e, c), c, best=False) for c in columns), "") for e in group.beside]
    return Table(columns, tuple(rows))


def _column(shown: Sequence[tuple[str, str, str, bool | None]], index: int, group: Group) -> Column:
    metric, heading, title, _ = shown[index]
    first = index == 0 or shown[index - 1][1] != heading
    family = [name for name, other, _, _ in shown if other == heading and heading in ("Latency p50", "Memory")]
    every = (*group.entries, *group.beside)
    values = [v for e in every for name in family or [metric] if (v := e.value(name)) is not None]
    span = sum(other == heading for _, other, _, _ in shown) if first else 0
    return Column(heading, title, metric, span, scale_for(metric, values))


def _cells(group: Group, column: Column, *, largest: bool | None) -> list[Cell]:
    metrics = [_metric(entry, column) for entry in group.entries]
    best = set() if largest is None else best_of(metrics, largest=largest)
    pairs = enumerate(zip(group.entries, metrics, strict=True))
    return [_cell(entry, metric, column, best=index in best) for index, (entry, metric) in pairs]


def _metric(entry: Entry, column: Column) -> Metric:
    return entry.metrics.get(column.metric) or unavailable(column.metric, NOT_LISTED)


def _cell(entry: Entry, metric: Metric, column: Column, *, best: bool) -> Cell:
    tip = f"{entry.label}, {column.name}. {explain(metric)}"
    number, unit = ("–", "") if metric.value is None else fitted(column.metric, metric.value, column.scale)
    return Cell(number, unit if unit != column.scale.unit else "", KINDS[metric.kind], tip, best)
