"""The batch sweep as two small charts: throughput and latency against batch size, a line per format."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from profiles.measurement import Kind
from toolchain.report.batches import Sweep
from toolchain.report.charts.axes import Ticks, axis_title, metric_ticks
from toolchain.report.charts.marks import fit, line_path, marker_path
from toolchain.report.entries import Entry
from toolchain.report.formats import LATENCIES
from toolchain.report.shapes import Batch
from toolchain.report.ticks import Axis, axis_for
from toolchain.report.words import KINDS, listing, show, title_of

_LINE = 15.0  # pixels between two labels at the ends of lines


@dataclasses.dataclass(frozen=True)
class Layout:
    """Pixels of one version: two charts beside each other, or one below the other."""

    width: float
    columns: int
    gap: float
    height: float
    left: float
    right: float
    top: float
    bottom: float

    @property
    def panel(self) -> float:
        """Width of one chart."""
        return (self.width - (self.columns - 1) * self.gap) / self.columns


WIDE = Layout(width=1100, columns=2, gap=36, height=270, left=62, right=58, top=24, bottom=50)
NARROW = Layout(width=380, columns=1, gap=0, height=250, left=54, right=52, top=24, bottom=50)


@dataclasses.dataclass(frozen=True)
class Line:
    """One format: its path, its marks, and its name at the right end. ``dash`` tells lines apart without colour."""

    label: str
    label_at: tuple[float, float]
    path: str
    marks: tuple[tuple[str, str], ...]
    dash: str


@dataclasses.dataclass(frozen=True)
class Panel:
    """One chart; pixels are those of the whole picture."""

    x: float
    y: float
    title: str
    kind: str
    x_ticks: Ticks
    y_ticks: Ticks
    lines: tuple[Line, ...]


@dataclasses.dataclass(frozen=True)
class Lines:
    """Both charts. ``notes`` are sentences on what is not drawn."""

    size: str
    layout: Layout
    height: float
    panels: tuple[Panel, ...]
    notes: tuple[str, ...]
    summary: str


#: Solid, dashed, dotted and so on, in the order of the formats.
DASHES = ("none", "8 4", "2 4", "10 3 2 3", "4 2", "1 3")


def lines(sweep: Sweep, layout: Layout, size: str) -> Lines | None:
    """The charts of one sweep; None where no figure has two batch sizes."""
    names = ["throughput", next((n for n in LATENCIES if _series(sweep, n)), LATENCIES[-1])]
    drawn = [(name, found) for name in names if (found := _series(sweep, name))]
    if not drawn:
        return None
    panels = []
    for index, (name, found) in enumerate(drawn):
        column, row = index % layout.columns, index // layout.columns
        panels.append(_panel(name, found, layout, column * (layout.panel + layout.gap), row * layout.height))
    notes = tuple(dict.fromkeys(note for name, found in drawn if (note := _left_out(sweep, name, found))))
    summary = "; ".join(tip for panel in panels for line in panel.lines for _, tip in line.marks)
    return Lines(size, layout, layout.height * math.ceil(len(drawn) / layout.columns), tuple(panels), notes, summary)


Series = list[tuple[Entry, list[tuple[int, float]]]]


def _series(sweep: Sweep, name: str) -> Series:
    """Batch sizes and values per bundle, of the most trusted kind that makes a line; figures of 0 are none."""
    for kind in KINDS:
        found = [(entry, _points(entry.batches, name, kind)) for entry in sweep.entries]
        if any(len(points) > 1 for _, points in found):
            return [(entry, points) for entry, points in found if points]
    return []


def _points(batches: Sequence[Batch], name: str, kind: Kind) -> list[tuple[int, float]]:
    found = [(row.batch, row.metrics[name]) for row in batches if name in row.metrics]
    return [(batch, m.value) for batch, m in found if m.kind is kind and m.value is not None and m.value > 0]


def _panel(name: str, found: Series, layout: Layout, x: float, y: float) -> Panel:
    sizes = sorted({batch for _, points in found for batch, _ in points})
    left, right = x + layout.left, x + layout.panel - layout.right
    across = Axis(float(sizes[0]), float(max(sizes[-1], sizes[0] + 1)), left + 6, right - 6, log=True)
    values = [value for _, points in found for _, value in points]
    up = axis_for(values, y + layout.height - layout.bottom, y + layout.top, pad=0.08)
    unit, y_ticks = metric_ticks(name, up, 44)
    kind = KINDS[_kind(found, name)]
    title = axis_title(title_of(name), unit, up, kind.title)
    made = tuple(_line(index, name, series, across, up) for index, series in enumerate(found))
    placed = _apart(made, y + layout.top + 4, y + layout.height - layout.bottom)
    return Panel(x, y, title, kind.key, _batch_ticks(sizes, across), y_ticks, placed)


def _kind(found: Series, name: str) -> Kind:
    entry, points = found[0]
    return next(row.metrics[name].kind for row in entry.batches if row.batch == points[0][0] and name in row.metrics)


def _batch_ticks(sizes: Sequence[int], across: Axis) -> Ticks:
    """Every batch size that was run, thinned out where the numbers would touch."""
    kept: list[tuple[str, float]] = []
    for size in sizes:
        pixel = across.place(float(size))
        if not kept or pixel - kept[-1][1] > 22:
            kept.append((str(size), pixel))
    return tuple(kept)


def _line(index: int, name: str, series: tuple[Entry, list[tuple[int, float]]], across: Axis, up: Axis) -> Line:
    entry, points = series
    pixels = [(across.place(float(batch)), up.place(value)) for batch, value in points]
    kind = _kind([series], name)
    marks = tuple(
        (marker_path(kind, px, py, 4.0), f"{entry.label}, batch {batch}: {title_of(name)} {show(name, value)}")
        for (batch, value), (px, py) in zip(points, pixels, strict=True)
    )
    end = (pixels[-1][0] + 10, pixels[-1][1] + 4)
    return Line(fit(entry.precision, 13, 48), end, line_path(pixels), marks, DASHES[index % len(DASHES)])


def _apart(made: Sequence[Line], top: float, bottom: float) -> tuple[Line, ...]:
    """The same lines with labels that do not cover each other: pushed down in order, then back up from the end."""
    order = sorted(range(len(made)), key=lambda index: made[index].label_at[1])
    heights = [made[index].label_at[1] for index in order]
    for place in range(1, len(order)):
        heights[place] = max(heights[place], heights[place - 1] + _LINE)
    for place in reversed(range(len(order))):
        limit = bottom if place == len(order) - 1 else heights[place + 1] - _LINE
        heights[place] = min(heights[place], limit)
    moved = {
        index: dataclasses.replace(made[index], label_at=(made[index].label_at[0], max(height, top)))
        for index, height in zip(order, heights, strict=True)
    }
    return tuple(moved[index] for index in range(len(made)))


def _left_out(sweep: Sweep, name: str, found: Series) -> str:
    drawn = [entry for entry, _ in found]
    others = [entry.precision for entry in sweep.entries if entry not in drawn]
    if not others:
        return ""
    return f"{listing(others)} has no {title_of(name)} of this kind, and is not drawn."
