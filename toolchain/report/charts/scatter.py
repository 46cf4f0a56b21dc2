"""Accuracy against latency, area for size, and per kind the front that nobody beats."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from toolchain.report.charts.axes import Ticks
from toolchain.report.charts.fronts import SIZE, beaten_by_kind
from toolchain.report.charts.marks import line_path, marker_path
from toolchain.report.charts.placement import Label, Spot, line_boxes, place_labels
from toolchain.report.charts.plane import Layout, Plane, doubt, horizontal_ticks, plane, vertical_ticks
from toolchain.report.entries import Entry
from toolchain.report.ranking import LATENCY
from toolchain.report.ticks import linear_ticks, tick_text
from toolchain.report.words import KINDS, listing, scale_for, show, title_of

WIDE = Layout(1100, 480, 74, 24, 20, 60, 26, 84, 13)
NARROW = Layout(380, 420, 52, 8, 20, 58, 18, 54, 12)


@dataclasses.dataclass(frozen=True)
class Mark:
    """One bundle: its shape, whether another of its kind beats it, its label and vertical uncertainty."""

    kind: str
    path: str
    beaten: bool
    label: Label | None
    whisker: tuple[float, float, float] | None
    tip: str


@dataclasses.dataclass(frozen=True)
class Scatter:
    """The whole chart. ``fronts`` are (kind, path), ``sizes`` (text, radius), ``notes`` sentences
    on bundles that are not drawn, ``bare`` the number of marks without room for a label."""

    title: str
    size: str
    layout: Layout
    x_title: str
    y_title: str
    x_ticks: Ticks
    y_ticks: Ticks
    marks: tuple[Mark, ...]
    fronts: tuple[tuple[str, str], ...]
    sizes: tuple[tuple[str, float], ...]
    doubt: str
    notes: tuple[str, ...]
    bare: int
    summary: str


def scatter(entries: Sequence[Entry], layout: Layout, size: str, vertical: str = "accuracy") -> Scatter | None:
    """The chart of entries with a latency and the ``vertical`` metric (up is more), or None without two of them."""
    found = plane(entries, layout, vertical)
    if found is None:
        return None
    marks = _marks(found)
    x_title, x_ticks = horizontal_ticks(found)
    y_title, y_ticks = vertical_ticks(found)
    return Scatter(
        title="Accuracy, latency and size" if vertical == "accuracy" else "Latency and size",
        size=size,
        layout=layout,
        x_title=x_title,
        y_title=y_title,
        x_ticks=x_ticks,
        y_ticks=y_ticks,
        marks=marks,
        fronts=tuple((KINDS[entry.kind].key, line_path(points)) for entry, points in found.fronts()),
        sizes=_size_key(found),
        doubt=doubt(found),
        notes=tuple(_why_absent(e, vertical) for e in entries if e not in found.shown),
        bare=sum(mark.label is None for mark in marks),
        summary="; ".join(mark.tip for mark in marks),
    )


def _marks(found: Plane) -> tuple[Mark, ...]:
    """Beaten ones first, so that the others lie above them."""
    beaten, spots = beaten_by_kind(found.shown, found.vertical), found.spots()
    lines = [box for _, points in found.fronts() for box in line_boxes(points)]
    labels = place_labels(spots, found.layout.area, found.layout.font, lines)
    marks = [
        Mark(
            kind=KINDS[entry.kind].key,
            path=marker_path(entry.kind, spot.x, spot.y, spot.radius),
            beaten=entry.number in beaten,
            label=label,
            whisker=_whisker(entry, spot, found),
            tip=_tip(entry, found.vertical),
        )
        for entry, spot, label in zip(found.shown, spots, labels, strict=True)
    ]
    return tuple(sorted(marks, key=lambda mark: not mark.beaten))


def _whisker(entry: Entry, spot: Spot, found: Plane) -> tuple[float, float, float] | None:
    spread, value = entry.metrics[found.vertical].uncertainty, entry.value(found.vertical)
    if not spread or value is None or not found.whiskers():
        return None
    return spot.x, found.y.place(max(value - spread, found.y.low)), found.y.place(value + spread)


def _size_key(found: Plane) -> tuple[tuple[str, float], ...]:
    """Two or three round sizes with the radius they are drawn with."""
    if not found.largest:
        return ()
    scale = scale_for(SIZE, [found.largest])
    ticks = [t for t in linear_ticks(0.0, found.largest / scale.factor, 3) if t > 0]
    picked = sorted({ticks[0] / 4, ticks[0], ticks[-1]}) if ticks else []
    radii = [found.layout.radius * math.sqrt(t * scale.factor / found.largest) for t in picked]
    return tuple((f"{tick_text(t)} {scale.unit}", radius) for t, radius in zip(picked, radii, strict=True))


def _tip(entry: Entry, vertical: str) -> str:
    names = dict.fromkeys((vertical, LATENCY, SIZE))
    figures = [f"{title_of(n)} {show(n, value)}" for n in names if (value := entry.value(n)) is not None]
    return f"{entry.label} ({KINDS[entry.kind].title}): {', '.join(figures)}"


def _why_absent(entry: Entry, vertical: str) -> str:
    lacking = [title_of(n) for n in (LATENCY, vertical) if entry.metric(n) is None]
    verb = "is" if len(lacking) == 1 else "are"
    return f"{entry.label} is not drawn: {listing(lacking)} {verb} unavailable."
