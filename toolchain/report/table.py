"""The table: one row per bundle, every number with the badge of its kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from profiles.measurement import METRIC_UNITS, Kind, unavailable
from toolchain.report.entries import Entry
from toolchain.report.shapes import BudgetLine
from toolchain.report.words import KINDS, KindWords, Scale, explain, scale_for, show, title_of

NOT_LISTED = "summary.json does not list it"
#: Column group, column title, metric.
CORE = (
    ("Latency", "p50", "latency_p50"),
    ("Latency", "p90", "latency_p90"),
    ("Latency", "p99", "latency_p99"),
    ("CPU time", "p50", "cpu_time_p50"),
    ("Memory", "peak", "peak_memory"),
    ("Model", "size", "model_size"),
    ("Accuracy", "top-1", "accuracy"),
    ("Accuracy", "drop", "accuracy_drop"),
    ("Energy", "per run", "energy"),
)
#: Shown only where some bundle has them: what counts on a GPU, on a microcontroller or in a simulator.
EXTRA = (
    ("GPU", "p50 by events", "latency_events_p50"),
    ("GPU", "memory", "gpu_memory"),
    ("Flash", "", "flash"),
    ("RAM", "", "ram"),
    ("Instructions", "", "instructions"),
    ("Cycles", "", "cycles"),
    ("FPGA", "LUTs", "luts"),
    ("FPGA", "multipliers", "multipliers"),
    ("FPGA", "block RAMs", "block_rams"),
    ("FPGA", "share", "device_share"),
    ("FPGA", "clock", "fmax"),
)
_SHARED = dict.fromkeys(("latency_p50", "latency_p90", "latency_p99", "cpu_time_p50", "latency_events_p50"), "time")


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of figures; ``span`` is 0 where an earlier column's group heading covers it."""

    group: str
    title: str
    metric: str
    span: int
    scale: Scale

    @property
    def name(self) -> str:
        """For a phone, where headings stand beside each figure."""
        return title_of(self.metric)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One figure. ``sort`` is None where there is no value; ``rank`` keeps kinds apart when sorting."""

    name: str
    number: str
    unit: str
    kind: KindWords
    tip: str
    sort: float | None
    rank: int


@dataclasses.dataclass(frozen=True)
class Executed:
    """The precision that really ran; ``as_asked`` is None where the engine does not tell."""

    text: str
    as_asked: bool | None
    tip: str


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The budget in a word, and line by line."""

    key: str
    mark: str
    text: str
    lines: tuple[str, ...]
    sort: int


@dataclasses.dataclass(frozen=True)
class Row:
    """One bundle."""

    entry: Entry
    executed: Executed
    cells: tuple[Cell, ...]
    verdict: Verdict


@dataclasses.dataclass(frozen=True)
class Table:
    """Columns and rows in the order of ``summary.json``."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def table(entries: Sequence[Entry]) -> Table:
    """The whole table."""
    shown = [*CORE, *(extra for extra in EXTRA if any(e.metric(extra[2]) for e in entries))]
    columns = tuple(_column(shown, index, entries) for index in range(len(shown)))
    rows = (Row(e, executed(e), tuple(_cell(e, column) for column in columns), verdict(e)) for e in entries)
    return Table(columns, tuple(rows))


def _column(shown: Sequence[tuple[str, str, str]], index: int, entries: Sequence[Entry]) -> Column:
    group, title, metric = shown[index]
    first = index == 0 or shown[index - 1][0] != group
    span = sum(g == group for g, _, _ in shown) if first else 0
    family = [m for _, _, m in shown if m == metric or (m in _SHARED and _SHARED[m] == _SHARED.get(metric))]
    values = [v for e in entries for m in family if (v := e.value(m)) is not None]
    return Column(group, title, metric, span, scale_for(metric, values))


def _cell(entry: Entry, column: Column) -> Cell:
    metric = entry.metrics.get(column.metric) or unavailable(column.metric, NOT_LISTED)
    rank = list(Kind).index(metric.kind)
    tip = f"{entry.label}, {column.name}. {explain(metric)}"
    if metric.value is None:
        return Cell(column.name, "–", "", KINDS[metric.kind], tip, None, rank)
    number, unit = fitted(column.metric, metric.value, column.scale)
    return Cell(column.name, number, unit, KINDS[metric.kind], tip, metric.value, rank)


def fitted(name: str, value: float, scale: Scale) -> tuple[str, str]:
    """Number and unit: those of the column, unless that leaves fewer than two digits of the number."""
    number = scale.number(value)
    digits = number.replace("−", "").replace(".", "").replace(",", "").lstrip("0")
    if value and len(digits) < 2 and METRIC_UNITS.get(name, "1") != "1":
        number, _, unit = show(name, value).partition(" ")
        return number, unit
    return number, scale.unit


def executed(entry: Entry) -> Executed:
    """What ran, by the engine's own account, against what was asked."""
    counts = entry.profile.executed if entry.profile else {}
    share, total = entry.ran_as_asked
    if entry.not_run:
        return Executed("not run", None, f"Compiled, not run: {entry.not_run}")
    if not total:
        return Executed("not told", None, "The engine does not tell in which precision its layers ran.")
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    text = ordered[0][0] if len(ordered) == 1 else ", ".join(f"{number}× {name}" for name, number in ordered)
    tip = "Compute layers by the precision that really ran: " + ", ".join(f"{n} {name}" for name, n in ordered)
    return Executed(text, 2 * share > total, tip + ".")


def verdict(entry: Entry) -> Verdict:
    """Met, missed, not to be judged, or no budget."""
    lines = tuple(_line(line) + judged_by(entry, line) for line in entry.budget)
    if not entry.budget:
        return Verdict("none", "·", "no budget", (), 3)
    if entry.met is None:
        return Verdict("open", "?", "cannot be judged", lines, 2)
    return Verdict("met", "✓", "met", lines, 0) if entry.met else Verdict("missed", "✗", "missed", lines, 1)


def _line(line: BudgetLine) -> str:
    """``✓ latency p50 1.8 ≤ 5 ms``: both numbers in one unit."""
    floor = line.metric in ("accuracy", "throughput")
    name = title_of(line.metric)
    if line.met is None or line.value is None:
        return f"? {name} unavailable, allowed {'≥' if floor else '≤'} {show(line.metric, line.limit)}"
    scale = scale_for(line.metric, [line.value, line.limit])
    value, limit = (_trimmed(scale.number(v)) for v in (line.value, line.limit))
    sign = ("≥" if floor else "≤") if line.met else ("<" if floor else ">")
    return f"{'✓' if line.met else '✗'} {name} {value} {sign} {limit} {scale.unit}".rstrip()


def judged_by(entry: Entry, line: BudgetLine) -> str:
    """``, estimated``: what kind of figure keeps or breaks a promise; empty where it was measured, or nobody knows."""
    found = entry.metric(line.metric)
    if line.met is None or found is None or found.kind is Kind.MEASURED:
        return ""
    return f", {KINDS[found.kind].title}"


def _trimmed(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number
