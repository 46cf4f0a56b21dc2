"""The plane of the trade-off chart: its axes, where each bundle lies on it, and the fronts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from toolchain.report.charts.axes import Ticks, axis_title, metric_ticks
from toolchain.report.charts.fronts import SIZE, goodness, groups
from toolchain.report.charts.placement import Box, Spot
from toolchain.report.entries import Entry
from toolchain.report.pareto import staircase
from toolchain.report.ranking import LATENCY
from toolchain.report.ticks import Axis, axis_for
from toolchain.report.words import show, title_of

Points = list[tuple[float, float]]
SMALLEST = 4.5  # pixels: a mark stays visible and can be touched


@dataclasses.dataclass(frozen=True)
class Layout:
    """Pixels of one version of the chart; ``radius`` is that of the largest mark."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    radius: float
    tick: float
    font: float

    @property
    def area(self) -> Box:
        """Where marks and labels may lie."""
        return Box(self.left + 2, self.top + 3, self.width - self.right, self.height - self.bottom - 2)


@dataclasses.dataclass(frozen=True)
class Plane:
    """Entries that have both figures, on two axes in SI base units; ``vertical`` is the metric that goes up."""

    shown: tuple[Entry, ...]
    vertical: str
    layout: Layout
    x: Axis
    y: Axis

    def point(self, entry: Entry) -> tuple[float, float]:
        """The pixel of an entry."""
        return self.x.place(entry.value(LATENCY) or 0.0), self.y.place(entry.value(self.vertical) or 0.0)

    def spots(self) -> list[Spot]:
        """Every entry with its radius (area is size) and the shortest label that no other entry shares."""
        return [Spot(*self.point(e), self._radius(e), self._text(e)) for e in self.shown]

    def _text(self, entry: Entry) -> str:
        forms = (lambda e: e.short, lambda e: f"{e.precision} on {e.device}")
        alone = [form(entry) for form in forms if sum(form(e) == form(entry) for e in self.shown) == 1]
        return alone[0] if alone else entry.label

    def _radius(self, entry: Entry) -> float:
        size, largest = entry.value(SIZE), self.largest
        return max(self.layout.radius * math.sqrt(size / largest), SMALLEST) if size and largest else SMALLEST

    @property
    def largest(self) -> float:
        """The largest size in bytes; 0 where none is known."""
        return max((e.value(SIZE) or 0.0 for e in self.shown), default=0.0)

    def fronts(self) -> list[tuple[Entry, Points]]:
        """Per kind with two entries or more: one of its entries, and the corners of its front in pixels."""
        sign = -1.0 if self.vertical == "accuracy" else 1.0
        worst = self.layout.height - self.layout.bottom if sign < 0 else self.layout.top
        found = []
        for group in groups(self.shown, (LATENCY, self.vertical)):
            if len(group) > 1:
                corners = staircase([goodness(e, self.vertical) for e in group])
                points = [(self.x.place(x), self.y.place(sign * y)) for x, y in corners]
                end = (self.layout.width - self.layout.right, points[-1][1])
                found.append((group[0], [(points[0][0], worst), *points, end]))
        return found

    def whiskers(self) -> bool:
        """Whether uncertainties are drawn: not where they would crush the marks into one line."""
        spreads = spreads_of(self.shown, self.vertical)
        values = [e.value(self.vertical) or 0.0 for e in self.shown]
        return bool(spreads) and max(spreads) <= 1.5 * (max(values) - min(values))


def plane(entries: Sequence[Entry], layout: Layout, vertical: str) -> Plane | None:
    """The plane of all entries that have a latency and the ``vertical`` figure; None without two of them."""
    shown = tuple(e for e in entries if e.metric(LATENCY) and e.metric(vertical))
    if len(shown) < 2:
        return None
    left, right = layout.left, layout.width - layout.right
    low, high = layout.height - layout.bottom, layout.top
    x = axis_for([e.value(LATENCY) or 0.0 for e in shown], left, right, pad=_pad(layout, right - left))
    values = [e.value(vertical) or 0.0 for e in shown]
    flat = Plane(shown, vertical, layout, x, axis_for(values, low, high, pad=_pad(layout, low - high), log=False))
    if not flat.whiskers():
        return flat
    ends = [
        v + sign * (e.metrics[vertical].uncertainty or 0.0)
        for e, v in zip(shown, values, strict=True)
        for sign in (-1, 1)
    ]
    return dataclasses.replace(flat, y=axis_for(ends, low, high, pad=_pad(layout, low - high), log=False))


def _pad(layout: Layout, length: float) -> float:
    return 0.08 + layout.radius / length


def spreads_of(shown: Sequence[Entry], name: str) -> list[float]:
    """The standard uncertainties that are known."""
    return [u for e in shown if (u := e.metrics[name].uncertainty)]


def horizontal_ticks(found: Plane) -> tuple[str, Ticks]:
    """Title and ticks of the latency axis."""
    unit, ticks = metric_ticks(LATENCY, found.x, found.layout.tick)
    return axis_title(title_of(LATENCY), unit, found.x, "left is faster"), ticks


def vertical_ticks(found: Plane) -> tuple[str, Ticks]:
    """Title and ticks of the other axis."""
    unit, ticks = metric_ticks(found.vertical, found.y, 56)
    better = "up is better" if found.vertical == "accuracy" else "down is better"
    return axis_title(title_of(found.vertical), unit, found.y, better), ticks


def doubt(found: Plane) -> str:
    """A sentence on how sure the vertical figures are; empty where nothing is known."""
    spreads = spreads_of(found.shown, found.vertical)
    if not spreads:
        return ""
    name = title_of(found.vertical)
    if found.whiskers():
        return f"Vertical lines are the standard uncertainty of the {name}."
    unit = "accuracy_drop" if found.vertical == "accuracy" else found.vertical
    text = show(unit, max(spreads))
    return (
        f"The standard uncertainty of the {name}, up to ± {text}, dwarfs the differences seen here: they may be chance."
    )
