"""Latency across the fleet, before and after: two boxes per wave on one axis. Geometry only; the template draws."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from toolchain.fleet.page.words import change, latency
from toolchain.fleet.store.overview import QUANTILES, Latency, RolloutView
from toolchain.report.charts.axes import Ticks, axis_title, metric_ticks
from toolchain.report.charts.marks import fit
from toolchain.report.ticks import Axis, axis_for
from toolchain.report.words import count

_P50 = "latency_p50"


@dataclasses.dataclass(frozen=True)
class Layout:
    """Pixels; ``label`` is the height of a line of text above each row, where there is no gutter for it."""

    size: str
    width: float
    gutter: float
    right: float
    row: float
    label: float
    tick: float


WIDE = Layout("wide", width=1100, gutter=210, right=120, row=64, label=0, tick=84)
NARROW = Layout("narrow", width=380, gutter=8, right=12, row=82, label=24, tick=58)


@dataclasses.dataclass(frozen=True)
class Box:
    """Quantiles of devices in pixels: the line from 5 to 95 %, the box of the middle half, the median, the extremes."""

    key: str
    y: float
    low: float
    first: float
    middle: float
    third: float
    high: float
    least: float
    most: float
    tip: str


@dataclasses.dataclass(frozen=True)
class Row:
    """One wave, or all."""

    y: float
    label: str
    sub: str
    value: str
    tone: str
    boxes: tuple[Box, ...]


@dataclasses.dataclass(frozen=True)
class Chart:
    """The whole picture."""

    layout: Layout
    height: float
    bottom: float
    axis: str
    ticks: Ticks
    rows: tuple[Row, ...]
    summary: str


def charts(view: RolloutView) -> list[Chart]:
    """The picture for wide windows and for narrow ones; none where nothing was measured."""
    named = [("all devices", view.latency), *((wave.name, wave.latency) for wave in view.waves)]
    measured = [(name, found) for name, found in named if found.devices]
    return [_chart(measured, layout) for layout in (WIDE, NARROW)] if measured else []


def _chart(rows: Sequence[tuple[str, Latency]], layout: Layout) -> Chart:
    values = [value for _, found in rows for value in (*found.before, *found.after) if value > 0]
    axis = axis_for(values or [1e-3], layout.gutter, layout.width - layout.right)
    unit, ticks = metric_ticks(_P50, axis, layout.tick)
    made = [_row(name, found, axis, layout, 8 + number * layout.row) for number, (name, found) in enumerate(rows)]
    bottom = 8 + len(rows) * layout.row
    title = axis_title("median latency of a device", unit, axis)
    summary = "; ".join(f"{row.label}: {', '.join(box.tip for box in row.boxes)}" for row in made)
    return Chart(layout, bottom + 46, bottom, title, ticks, tuple(made), summary)


def _row(name: str, found: Latency, axis: Axis, layout: Layout, top: float) -> Row:
    moved = found.median_change
    room = layout.width / 2 if layout.label else layout.gutter - 20
    middle = top + layout.label + (layout.row - layout.label) / 2
    return Row(
        y=middle if not layout.label else top + 15,
        label=fit(name, 14, room),
        sub=count(found.devices, "device"),
        value=change(moved),
        tone="worse" if (moved or 0) > 0.05 else "better" if (moved or 0) < -0.05 else "same",
        boxes=(_box("before", found.before, axis, middle - 10), _box("after", found.after, axis, middle + 10)),
    )


def _box(key: str, values: tuple[float, ...], axis: Axis, y: float) -> Box:
    at = dict(zip(QUANTILES, values, strict=True))
    pixel = {q: axis.place(max(value, axis.low)) for q, value in at.items()}
    tip = f"{key}: median {latency(at[50])}, half of the devices {latency(at[25])} to {latency(at[75])}, "
    return Box(
        key, y, pixel[5], pixel[25], pixel[50], pixel[75], pixel[95], pixel[0], pixel[100],
        tip=f"{tip}all {latency(at[0])} to {latency(at[100])}",
    )  # fmt: skip
