"""The roofline: MACs per cycle of every layer against MACs per byte, below what the array and the port allow."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from itertools import pairwise

from toolchain.report.charts import plane
from toolchain.report.charts.axes import Ticks
from toolchain.report.charts.layer_names import named
from toolchain.report.charts.marks import line_path, marker_path, text_width
from toolchain.report.charts.placement import Box, Label, Spot, line_boxes, place_labels
from toolchain.report.cycles import Cycles, Machine, Work
from toolchain.report.ticks import Axis, tick_text
from toolchain.report.words import scale_for

_PIECES = 24


@dataclasses.dataclass(frozen=True)
class Layout(plane.Layout):
    """The same pixels as those of the trade-off chart; ``name`` is the room for a label."""

    name: float

    @property
    def area(self) -> Box:
        """Where marks and labels may lie."""
        return Box(self.left + 3, self.top + 3, self.width - self.right - 2, self.height - self.bottom - 3)


WIDE = Layout(1100, 440, 60, 24, 26, 58, 20, 84, 13, 150)
NARROW = Layout(380, 380, 44, 10, 26, 56, 13, 54, 12, 40)


@dataclasses.dataclass(frozen=True)
class Mark:
    """One layer: its shape, its label, the sentence behind it."""

    path: str
    label: Label | None
    tip: str
    whole: bool


@dataclasses.dataclass(frozen=True)
class Roofline:
    """The whole chart. ``roof`` is a path, ``limits`` the labels of its two parts."""

    size: str
    layout: Layout
    kind: str
    x_ticks: Ticks
    y_ticks: Ticks
    x_title: str
    y_title: str
    roof: str
    limits: tuple[Label, ...]
    marks: tuple[Mark, ...]
    summary: str
    bare: int


def roofline(found: Cycles, layout: Layout, size: str) -> Roofline | None:
    """The chart of one bundle; None where no layer has a place in it."""
    if not found.drawn:
        return None
    works = [*([found.whole] if _placed(found.whole) else []), *found.drawn]
    x, y = _axes(found.machine, works, layout)
    bare = [Spot(*_point(each, x, y), _radius(each, found, layout), "") for each in works]
    spots = named(works, bare, layout.font, layout.name)
    labels, limits = _labels(found.machine, spots, (x, y), layout)
    kind = found.entry.metrics["cycles"].kind
    marks = tuple(
        Mark(marker_path(kind, spot.x, spot.y, spot.radius), label, tip(each, found.machine), not each.number)
        for each, spot, label in zip(works, spots, labels, strict=True)
    )
    return Roofline(
        size=size,
        layout=layout,
        kind=found.kind.key,
        x_ticks=tuple((tick_text(value), pixel) for value, pixel in x.ticks(layout.tick)),
        y_ticks=tuple((tick_text(value), pixel) for value, pixel in y.ticks(48)),
        x_title="MACs per byte over the port",
        y_title="MACs per cycle",
        roof=line_path(_roof(found.machine, x, y)),
        limits=limits,
        marks=marks,
        summary="; ".join(mark.tip for mark in marks),
        bare=sum(label is None and bool(spot.text) for label, spot in zip(labels, spots, strict=True)),
    )


def _placed(work: Work) -> bool:
    return bool(work.rate and work.intensity)


def _axes(machine: Machine, works: Sequence[Work], layout: Layout) -> tuple[Axis, Axis]:
    """Both logarithmic, with room around the marks and the corner of the roof."""
    across = [machine.knee, *(each.intensity or machine.knee for each in works)]
    up = [machine.macs, *(each.rate for each in works)]
    x_low, x_high, y_low, y_high = min(across), max(across), min(up), max(up)
    right, base = layout.width - layout.right, layout.height - layout.bottom
    return (
        Axis(x_low / _room(x_low, x_high), x_high * _room(x_low, x_high), layout.left, right, log=True),
        Axis(y_low / _room(y_low, y_high), y_high * 1.2 * _room(y_low, y_high), base, layout.top, log=True),
    )


def _room(low: float, high: float) -> float:
    return max(1.6, math.exp(0.08 * math.log(high / low)))


def _point(work: Work, x: Axis, y: Axis) -> tuple[float, float]:
    return x.place(work.intensity or 1.0), y.place(work.rate)


def _radius(work: Work, found: Cycles, layout: Layout) -> float:
    """Area is cycles; the whole network's mark is small, it stands for no layer."""
    if not work.number:
        return plane.SMALLEST + 1
    most = max(each.cycles for each in found.drawn)
    return max(layout.radius * math.sqrt(work.cycles / most), plane.SMALLEST)


def _roof(machine: Machine, x: Axis, y: Axis) -> list[tuple[float, float]]:
    """From where the slope enters the plane, over the knee, to the right edge."""
    start = max(x.low, y.low / machine.bytes)
    values = [start, machine.knee, x.high]
    return [(x.place(each), y.place(machine.roof(each))) for each in values]


def _labels(
    machine: Machine, spots: Sequence[Spot], axes: tuple[Axis, Axis], layout: Layout
) -> tuple[list[Label | None], tuple[Label, ...]]:
    """Of the marks, and of the roof's two parts: its level one is named above the plot."""
    corners = _roof(machine, *axes)
    lines = [box for piece in pairwise(_pieces(corners)) for box in line_boxes(piece)]
    slope = Spot(*_middle(corners[0], corners[1], 0.45), 1.0, f"port: {machine.bytes:g} B per cycle")
    first, *rest = place_labels([slope, *spots], layout.area, layout.font, lines)
    limits = [_level(machine, layout), *([dataclasses.replace(first, leader=None)] if first else [])]
    return [label if label and label.text else None for label in rest], tuple(limits)


def _level(machine: Machine, layout: Layout) -> Label:
    text, right, bottom = f"array: {machine.macs:g} MACs per cycle", layout.width - layout.right, layout.top - 5
    return Label(text, Box(right - text_width(text, 12), bottom - 16, right, bottom), None)


def _pieces(corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The roof in short pieces, so that boxes around them are close to the line."""
    return [_middle(a, b, step / _PIECES) for a, b in pairwise(corners) for step in range(_PIECES + 1)]


def _middle(a: tuple[float, float], b: tuple[float, float], share: float) -> tuple[float, float]:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def tip(work: Work, machine: Machine) -> str:
    """``3 · conv2: 220 MACs per cycle, 86 % of its roof; 93 MACs per byte; 9,224 cycles``."""
    name = f"{work.number} · {work.name}" if work.number else work.name
    intensity = work.intensity or 0.0
    share = 100 * work.rate / machine.roof(intensity) if intensity else 0.0
    moved = scale_for("dram_bytes", [work.moved]).text(work.moved)
    return (
        f"{name}: {work.rate:.3g} MACs per cycle, {share:.0f} % of its roof; {intensity:.3g} MACs per byte "
        f"({moved}); {work.cycles:,.0f} cycles"
    )
