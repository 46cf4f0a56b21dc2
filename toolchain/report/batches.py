"""The batch sweep: what each batch size costs and brings, by number format."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from profiles.measurement import METRIC_UNITS, Metric, unavailable
from toolchain.report.entries import Entry
from toolchain.report.table import fitted
from toolchain.report.words import KINDS, KindWords, Scale, explain, scale_for, title_of

_ORDER = {name: index for index, name in enumerate(METRIC_UNITS)}


@dataclasses.dataclass(frozen=True)
class Sweep:
    """All bundles of one device and engine that were swept."""

    device: str
    target: str
    entries: tuple[Entry, ...]

    @property
    def title(self) -> str:
        """``rtx-4070 with tensorrt``."""
        return f"{self.device} with {self.target}"


def sweeps(entries: Sequence[Entry]) -> list[Sweep]:
    """One sweep per device and engine with figures, measured or planned, of a batch size that is not 1."""
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        if any(row.batch != 1 for row in entry.batches):
            found.setdefault((entry.device, entry.target), []).append(entry)
    return [Sweep(device, target, tuple(group)) for (device, target), group in found.items()]


@dataclasses.dataclass(frozen=True)
class Cell:
    """One figure with the badge of its kind."""

    text: str
    kind: KindWords
    tip: str


@dataclasses.dataclass(frozen=True)
class Row:
    """One batch size of one bundle."""

    precision: str
    batch: int
    first: bool
    cells: tuple[Cell, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """``columns`` are titles with units."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]


def sweep_table(sweep: Sweep) -> Table:
    """A row per bundle and batch size, a column per figure that some row has."""
    names = sorted(
        {name for e in sweep.entries for row in e.batches for name in row.metrics},
        key=lambda name: (_ORDER.get(name, len(_ORDER)), name),
    )
    scales = {name: scale_for(name, _values(sweep, name)) for name in names}
    rows = []
    for entry in sweep.entries:
        for index, batch in enumerate(entry.batches):
            found = [batch.metrics.get(name) or unavailable(name, "not told for this batch size") for name in names]
            cells = tuple(_cell(entry, batch.batch, (n, scales[n]), m) for n, m in zip(names, found, strict=True))
            rows.append(Row(entry.precision, batch.batch, index == 0, cells))
    return Table(tuple((title_of(name), scales[name].unit) for name in names), tuple(rows))


def _values(sweep: Sweep, name: str) -> list[float]:
    found = [row.metrics.get(name) for entry in sweep.entries for row in entry.batches]
    return [metric.value for metric in found if metric is not None and metric.value is not None]


def _cell(entry: Entry, batch: int, column: tuple[str, Scale], metric: Metric) -> Cell:
    name, scale = column
    number, unit = ("–", scale.unit) if metric.value is None else fitted(name, metric.value, scale)
    text = number if unit == scale.unit else f"{number} {unit}"
    tip = f"{entry.label}, batch {batch}, {title_of(name)}. {explain(metric)}"
    return Cell(text, KINDS[metric.kind], tip)
