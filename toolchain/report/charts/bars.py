"""Formats compared: one small panel per figure, bars from zero, and only figures of one kind in a panel."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from toolchain.report.charts.marks import fit, text_width
from toolchain.report.entries import Entry
from toolchain.report.formats import Group, best_of
from toolchain.report.ranking import by_kind
from toolchain.report.table import fitted
from toolchain.report.words import KINDS, Scale, listing, scale_for, title_of

#: What is worth a picture; accuracy is not, because its differences are far below its bars.
PICTURED = (
    "latency_events_p50", "latency_p50", "latency_graph_p50", "throughput", "energy", "gpu_memory", "model_size",
    "kernels", "dram_bytes",
)  # fmt: skip
_LARGEST = ("throughput",)
_TITLES = {"latency_p50": "latency p50 by the host's clock"}  # beside that of the GPU


@dataclasses.dataclass(frozen=True)
class Layout:
    """Pixels of one version of the chart; ``gutter`` is the room for a bar's name, ``value`` for its figure."""

    width: float
    columns: int
    gap: float
    gutter: float
    value: float
    row: float
    head: float

    @property
    def panel(self) -> float:
        """Width of one panel."""
        return (self.width - (self.columns - 1) * self.gap) / self.columns


WIDE = Layout(width=1100, columns=3, gap=40, gutter=50, value=86, row=27, head=34)
NARROW = Layout(width=380, columns=1, gap=0, gutter=50, value=86, row=27, head=34)


@dataclasses.dataclass(frozen=True)
class Bar:
    """One format's figure; pixels. ``best`` as in the table."""

    label: str
    x: float
    y: float
    length: float
    text: str
    best: bool
    tip: str


@dataclasses.dataclass(frozen=True)
class Panel:
    """One figure of all formats that have it in one kind."""

    title: str
    unit: str
    kind: str
    kind_title: str
    x: float
    y: float
    bars: tuple[Bar, ...]


@dataclasses.dataclass(frozen=True)
class Bars:
    """The whole chart. ``notes`` are sentences on what is not drawn."""

    size: str
    layout: Layout
    height: float
    panels: tuple[Panel, ...]
    notes: tuple[str, ...]
    summary: str


def bars(group: Group, layout: Layout, size: str) -> Bars | None:
    """The chart of one group; None where no figure is there in one kind for two formats."""
    drawn = [(name, found) for name in PICTURED if len(found := one_kind(group.entries, name)) > 1]
    if not drawn:
        return None
    panels, top, tall = [], 0.0, 0.0
    for index, (name, found) in enumerate(drawn):
        column = index % layout.columns
        if not column:
            top, tall = top + tall, 0.0
        panels.append(_panel(name, found, layout, column * (layout.panel + layout.gap), top))
        tall = max(tall, layout.head + layout.row * len(found) + 18)
    notes = tuple(note for name, found in drawn if (note := _left_out(group, name, found)))
    summary = "; ".join(bar.tip for panel in panels for bar in panel.bars)
    return Bars(size, layout, top + tall - 10, tuple(panels), notes, summary)


def one_kind(entries: Sequence[Entry], name: str) -> list[Entry]:
    """Entries whose figure is of the most trusted kind that at least two share, or that any has."""
    kinds = list(by_kind(entries, name).values())
    return next((found for found in kinds if len(found) > 1), kinds[0] if kinds else [])


def _panel(name: str, found: Sequence[Entry], layout: Layout, x: float, y: float) -> Panel:
    values = [e.value(name) or 0.0 for e in found]
    scale, kind = scale_for(name, values), KINDS[found[0].metrics[name].kind]
    best = best_of([e.metrics[name] for e in found], largest=name in _LARGEST)
    room, most = layout.panel - layout.gutter - layout.value, max([*values, 0.0]) or 1.0
    made = [
        Bar(
            label=fit(e.precision, 13, layout.gutter - 6),
            x=x + layout.gutter,
            y=y + layout.head + layout.row * index,
            length=room * max(value, 0.0) / most,
            text=_text(name, value, scale),
            best=index in best,
            tip=f"{e.label}, {title_of(name)}: {scale.text(value)}, {kind.title}",
        )
        for index, (e, value) in enumerate(zip(found, values, strict=True))
    ]
    title = fit(
        _TITLES.get(name) or title_of(name), 14, layout.panel - text_width(f"{scale.unit}, {kind.title}", 12) - 24
    )
    return Panel(title, scale.unit, kind.key, kind.title, x, y, tuple(made))


def _text(name: str, value: float, scale: Scale) -> str:
    """The number, with a unit only where it is another than the panel's."""
    number, unit = fitted(name, value, scale)
    return number if unit == scale.unit else f"{number} {unit}"


def _left_out(group: Group, name: str, found: Sequence[Entry]) -> str:
    """Formats that have the figure in another kind, which is not drawn beside this one."""
    others = [e for e in group.entries if e.metric(name) and e not in found]
    if not others:
        return ""
    kinds = listing(sorted({KINDS[e.metrics[name].kind].title for e in others}))
    return f"{title_of(name).capitalize()} of {listing([e.precision for e in others])} is {kinds}, and not drawn here."
