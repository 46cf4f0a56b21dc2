"""Where the time goes from run to run: a hill, a box and every sample, one row per bundle."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from profiles.measurement import Kind, Metric, percentile
from toolchain.report.charts.axes import Ticks, axis_title, metric_ticks
from toolchain.report.charts.marks import dots_path, fit, line_path, px, text_width
from toolchain.report.entries import Entry
from toolchain.report.ranking import LATENCY, by_kind
from toolchain.report.stats import FEWEST_SAMPLES, density
from toolchain.report.ticks import Axis, axis_for
from toolchain.report.words import KINDS, count, show

PERCENTILES = (("latency_p50", 50.0), ("latency_p90", 90.0), ("latency_p99", 99.0))


@dataclasses.dataclass(frozen=True)
class Layout:
    """Pixels of one version of the chart; ``gutter`` is the room for labels at the left of the plot."""

    width: float
    gutter: float
    right: float
    row: float
    label: float  # height of labels above the hill, where there is no gutter
    hill: float
    group: float
    tick: float


WIDE = Layout(width=1100, gutter=208, right=120, row=78, label=0, hill=34, group=34, tick=76)
NARROW = Layout(width=380, gutter=6, right=8, row=104, label=26, hill=34, group=34, tick=54)


@dataclasses.dataclass(frozen=True)
class Row:
    """One bundle. ``marks`` are the percentiles: name, pixel, text."""

    y: float
    kind: str
    label: str
    sub: str
    value: str
    tail: str
    hill: str
    dots: str
    box: tuple[float, float] | None
    marks: tuple[tuple[str, float, str], ...]
    tip: str


@dataclasses.dataclass(frozen=True)
class Distribution:
    """The whole chart; ``groups`` are the kinds' headings with their pixel."""

    size: str
    layout: Layout
    height: float
    bottom: float
    axis: str
    ticks: Ticks
    groups: tuple[tuple[str, str, float], ...]
    rows: tuple[Row, ...]
    summary: str


def distribution(entries: Sequence[Entry], layout: Layout, size: str) -> Distribution | None:
    """The chart of all entries that have latencies of runs, or None where none has."""
    groups = by_kind(entry for entry in entries if entry.spread)
    if not groups:
        return None
    axis = _axis([e for group in groups.values() for e in group], layout)
    unit, ticks = metric_ticks(LATENCY, axis, layout.tick)
    rows, heads, y = [], [], 4.0
    for kind, group in groups.items():
        heads.append((KINDS[kind].key, _heading(kind, len(group), layout), y + 20))
        y += layout.group
        for entry in group:
            rows.append(_row(entry, axis, layout, y + layout.label + layout.hill))
            y += layout.row
    title = axis_title("latency of one inference", unit, axis)
    summary = "; ".join(row.tip for row in rows)
    return Distribution(size, layout, y + 46, y + 4, title, ticks, tuple(heads), tuple(rows), summary)


def _heading(kind: Kind, members: int, layout: Layout) -> str:
    words = KINDS[kind]
    short = f"{words.title} · {count(members, 'bundle')}"
    return short if layout.label else f"{short} · {words.meaning}"


def _axis(entries: Sequence[Entry], layout: Layout) -> Axis:
    values = [v for e in entries for v in [*(e.metrics[LATENCY].samples or ()), *(x for _, x in _percentiles(e))]]
    return axis_for(values, layout.gutter, layout.width - layout.right, pad=0.03)


def _percentiles(entry: Entry) -> list[tuple[str, float]]:
    return [(name.removeprefix("latency_"), value) for name, _ in PERCENTILES if (value := entry.value(name))]


def _row(entry: Entry, axis: Axis, layout: Layout, y: float) -> Row:
    metric = entry.metrics[LATENCY]
    value, label = show(LATENCY, metric.value or 0.0), fit(entry.short, 14, _room(layout))
    beside = text_width(label, 15) + text_width(value, 15) + 34 if layout.label else 0.0
    found = dict(_percentiles(entry))
    tail = f"p99 {show('latency_p99', found['p99'])}" if "p99" in found else ""
    sub = entry.device + (" · unstable" if entry.stable is False else "")
    hill, dots, box = _shape(metric, axis, layout, y)
    words = ", ".join(f"{name} {show(LATENCY, value)}" for name, value in found.items())
    return Row(
        y=y,
        kind=KINDS[metric.kind].key,
        label=label,
        sub=fit(sub, 12.5, _room(layout) - beside),
        value=value,
        tail=tail,
        hill=hill,
        dots=dots,
        box=box,
        marks=tuple((name, axis.place(value), show(LATENCY, value)) for name, value in found.items()),
        tip=f"{entry.label}: {words}, {count(len(metric.samples or ()), 'sample')}",
    )


def _room(layout: Layout) -> float:
    return layout.width - 20 if layout.label else layout.gutter - 20


def _shape(metric: Metric, axis: Axis, layout: Layout, y: float) -> tuple[str, str, tuple[float, float] | None]:
    """Hill and dots as path data and the middle half in pixels; nothing where there are no raw samples."""
    samples = sorted(metric.samples or ())
    if len(samples) < FEWEST_SAMPLES:
        return "", dots_path((axis.place(s), y + 14) for s in samples), None
    pixels = [axis.place(sample) for sample in samples]
    grid = np.linspace(max(pixels[0] - 14, axis.start - 4), min(pixels[-1] + 14, axis.end + 4), 220)
    curve = density(pixels, [float(x) for x in grid])
    hill = line_path((float(x), y - 4 - float(h) * (layout.hill - 8)) for x, h in zip(grid, curve, strict=True))
    closed = f"{hill}L{px(float(grid[-1]))} {px(y - 4)}L{px(float(grid[0]))} {px(y - 4)}z"
    # Golden-ratio lanes: neighbours in time and value never pile up, and the page stays deterministic.
    dots = ((axis.place(s), y + 8 + 14 * (i * 0.618034 % 1.0)) for i, s in enumerate(metric.samples or ()))
    box = (axis.place(percentile(samples, 25)), axis.place(percentile(samples, 75)))
    return closed, dots_path(dots, 0.5 if len(samples) < 1000 else 1.0), box
