"""Curves through points: accuracy after every step of compression, or against how much a layer loses."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from profiles.measurement import Kind
from toolchain.report.charts.axes import Ticks, axis_title, metric_ticks
from toolchain.report.charts.marks import fit, line_path, marker_path
from toolchain.report.ticks import Axis, axis_for
from toolchain.report.words import KINDS


@dataclasses.dataclass(frozen=True)
class Point:
    """One mark: where, the sentence behind it, a short name beside it or none, and whether it is off the line."""

    x: float
    y: float
    tip: str
    name: str = ""
    off: bool = False


@dataclasses.dataclass(frozen=True)
class Curve:
    """Points in order; ``name`` stands at its end where there is room."""

    points: tuple[Point, ...]
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Plot:
    """What one chart shows; ``x`` and ``y`` are metric names, which have units and words."""

    x: str
    y: str
    x_title: str
    y_title: str
    curves: tuple[Curve, ...]
    kind: Kind = Kind.MEASURED


@dataclasses.dataclass(frozen=True)
class Layout:
    """Pixels of one version: charts side by side, or one below the other."""

    width: float
    columns: int
    gap: float = 36
    height: float = 300
    left: float = 58
    right: float = 96
    top: float = 26
    bottom: float = 52

    @property
    def panel(self) -> float:
        """Width of one chart."""
        return (self.width - (self.columns - 1) * self.gap) / self.columns


WIDE, NARROW = Layout(1100, 2), Layout(380, 1, gap=0, height=280, left=52, right=74)


@dataclasses.dataclass(frozen=True)
class Mark:
    """A mark's path, its sentence, and its name with the place of that."""

    path: str
    tip: str
    name: str
    at: tuple[float, float]
    off: bool


@dataclasses.dataclass(frozen=True)
class Line:
    """One curve in pixels; ``end`` is its name with the place of that."""

    path: str
    marks: tuple[Mark, ...]
    end: tuple[str, float, float] | None


@dataclasses.dataclass(frozen=True)
class Panel:
    """One chart; pixels are those of the whole picture."""

    x: float
    y: float
    kind: str
    x_title: str
    y_title: str
    x_ticks: Ticks
    y_ticks: Ticks
    lines: tuple[Line, ...]


@dataclasses.dataclass(frozen=True)
class Drawing:
    """All charts of one size."""

    size: str
    title: str
    layout: Layout
    height: float
    panels: tuple[Panel, ...]
    summary: str


def draw(plots: Sequence[Plot], title: str) -> list[Drawing]:
    """The charts in both sizes, of which the style sheet shows one; nothing without points."""
    filled = [plot for plot in plots if any(curve.points for curve in plot.curves)]
    if not filled:
        return []
    return [_drawing(filled, layout, size, title) for layout, size in ((WIDE, "wide"), (NARROW, "narrow"))]


def _drawing(plots: Sequence[Plot], layout: Layout, size: str, title: str) -> Drawing:
    layout = dataclasses.replace(layout, columns=min(layout.columns, len(plots)))
    panels = []
    for index, plot in enumerate(plots):
        column, row = index % layout.columns, index // layout.columns
        panels.append(_panel(plot, layout, column * (layout.panel + layout.gap), row * layout.height))
    summary = "; ".join(point.tip for curve in plots[0].curves for point in curve.points)
    height = layout.height * math.ceil(len(plots) / layout.columns)
    return Drawing(size, title, layout, height, tuple(panels), summary)


def _panel(plot: Plot, layout: Layout, x: float, y: float) -> Panel:
    points = [point for curve in plot.curves for point in curve.points]
    across = axis_for([p.x for p in points], x + layout.left, x + layout.panel - layout.right, pad=0.08)
    up = axis_for([p.y for p in points], y + layout.height - layout.bottom, y + layout.top, pad=0.08, log=False)
    x_unit, x_ticks = metric_ticks(plot.x, across, 64)
    y_unit, y_ticks = metric_ticks(plot.y, up, 48)
    drawn = [_line(curve, plot.kind, across, up, layout.right - 14) for curve in plot.curves]
    return Panel(
        x,
        y,
        KINDS[plot.kind].key,
        axis_title(plot.x_title, x_unit, across),
        axis_title(plot.y_title, y_unit, up),
        x_ticks,
        y_ticks,
        _readable(drawn),
    )


def _line(curve: Curve, kind: Kind, across: Axis, up: Axis, room: float) -> Line:
    marks = [_mark(point, kind, across.place(point.x), up.place(point.y), room) for point in curve.points]
    pixels = [(across.place(point.x), up.place(point.y)) for point in curve.points if not point.off]
    end = (fit(curve.name, 12, room), pixels[-1][0] + 9, pixels[-1][1] + 4) if curve.name and pixels else None
    return Line(line_path(pixels) if len(pixels) > 1 else "", tuple(marks), end)


def _mark(point: Point, kind: Kind, x: float, y: float, room: float) -> Mark:
    return Mark(marker_path(kind, x, y, 4.5), point.tip, fit(point.name, 12, room), (x + 9, y - 7), point.off)


def _readable(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Without the names that would stand on another one; the sentence behind a mark has it anyway."""
    taken: list[tuple[float, float]] = []
    kept = []
    for line in lines:
        marks = tuple(_named(mark, taken) for mark in line.marks)
        free = line.end is not None and _is_free(line.end[1:], taken)
        kept.append(dataclasses.replace(line, marks=marks, end=line.end if free else None))
    return tuple(kept)


def _named(mark: Mark, taken: list[tuple[float, float]]) -> Mark:
    return mark if mark.name and _is_free(mark.at, taken) else dataclasses.replace(mark, name="")


def _is_free(at: tuple[float, float], taken: list[tuple[float, float]]) -> bool:
    """Whether a name has room there; then it takes it."""
    free = all(abs(at[0] - x) > 80 or abs(at[1] - y) > 13 for x, y in taken)
    if free:
        taken.append(at)
    return free
