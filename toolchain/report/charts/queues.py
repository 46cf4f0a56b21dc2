"""What each queue of an accelerator did when: one lane per queue, layers above them, the memory port below."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from toolchain.report.charts.axes import Ticks, metric_ticks
from toolchain.report.charts.marks import fit, px, text_width
from toolchain.report.cycles import Cycles
from toolchain.report.ticks import Axis
from toolchain.report.trace import Event, Step, Trace

#: Tracks of the trace that are drawn as lanes.
LANES = ("load", "compute", "store")
WAIT = "wait"
#: Series of the counter of the port, and its lane.
PORT = {"read %": "port reads", "written %": "port writes"}
#: Pieces closer than so many pixels become one, and none is narrower.
_GRAIN = 0.4


@dataclasses.dataclass(frozen=True)
class Layout:
    """Pixels of one version; ``gutter`` is the room for a lane's name."""

    width: float
    gutter: float
    right: float
    head: float
    lane: float
    port: float
    gap: float
    tick: float
    font: float = 12


WIDE = Layout(1100, 84, 12, 32, 22, 34, 9, 84)
NARROW = Layout(380, 72, 8, 26, 18, 26, 8, 54)


@dataclasses.dataclass(frozen=True)
class Piece:
    """A layer: a rectangle, its name or number where there is room, a sentence."""

    x: float
    width: float
    text: str
    tip: str
    odd: bool


@dataclasses.dataclass(frozen=True)
class Lane:
    """A queue, or the port: its name, top and height, and paths with their classes."""

    name: str
    y: float
    height: float
    paths: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Queues:
    """The whole picture."""

    size: str
    layout: Layout
    height: float
    base: float
    layers: tuple[Piece, ...]
    lanes: tuple[Lane, ...]
    ticks: Ticks
    title: str
    summary: str


def queues(found: Cycles, layout: Layout, size: str) -> Queues | None:
    """The picture of one bundle; None where its trace does not tell."""
    trace = found.entry.trace
    if trace is None or not trace.end or not trace.track("layers"):
        return None
    axis = Axis(0.0, trace.end, layout.gutter, layout.width - layout.right)
    numbers = {each.name: each.number for each in found.layers}
    pieces = tuple(_pieces(trace.track("layers"), numbers, axis, layout))
    lanes = tuple(_lanes(trace, numbers, axis, layout))
    base = lanes[-1].y + lanes[-1].height + layout.gap
    unit, ticks = _ticks(axis, layout)
    title = f"time{f' in {unit}' if unit else ''}, {fit(trace.clock.split(',')[0], layout.font, 160)}"
    words = "; ".join(piece.tip for piece in pieces)
    return Queues(size, layout, base + 44, base, pieces, lanes, ticks, title, words)


def _ticks(axis: Axis, layout: Layout) -> tuple[str, Ticks]:
    seconds = Axis(axis.low, axis.high * 1e-6, axis.start, axis.end)
    return metric_ticks("latency_p50", seconds, layout.tick)


def _pieces(events: Iterable[Event], numbers: Mapping[str, int], axis: Axis, layout: Layout) -> Iterator[Piece]:
    for place, each in enumerate(events):
        start, end = axis.place(each.ts), axis.place(each.ts + each.dur)
        number = numbers.get(each.name, 0)
        tip = f"{number} · {each.name}: {each.args.get('cycles', 0):,} cycles"
        yield Piece(start, end - start, _named(each.name, number, end - start - 8, layout), tip, bool(place % 2))


def _named(name: str, number: int, room: float, layout: Layout) -> str:
    """The name, or the number that the table has, or nothing."""
    choices = [name, str(number)] if number else [name]
    return next((text for text in choices if text_width(text, layout.font) <= room), "")


def _lanes(trace: Trace, numbers: Mapping[str, int], axis: Axis, layout: Layout) -> Iterator[Lane]:
    y = 2 * layout.gap + layout.head
    for name in LANES:
        yield Lane(name, y, layout.lane, tuple(_queue(trace.track(name), name, numbers, axis, (y, layout.lane))))
        y += layout.lane + layout.gap
    for series, name in PORT.items():
        if steps := trace.counter("port", series):
            path = _area(steps, axis, y, layout.port)
            yield Lane(name, y, layout.port, (("at-port", path),))
            y += layout.port + layout.gap


def _queue(
    events: Sequence[Event], name: str, numbers: Mapping[str, int], axis: Axis, place: tuple[float, float]
) -> Iterator[tuple[str, str]]:
    """Instructions of every other layer darker, and what the array waited for in the colour of that."""
    kinds: dict[str, list[Event]] = {}
    for each in events:
        if each.cat == WAIT and name != "compute":
            continue
        if each.cat == WAIT:
            key = f"at-{each.name.rpartition(' ')[2]} waits"
        else:
            key = f"at-{name}{' odd' if numbers.get(str(each.args.get('layer', each.name)), 0) % 2 else ''}"
        kinds.setdefault(key, []).append(each)
    for key, mine in kinds.items():
        yield key, _rectangles(mine, axis, *place)


def _rectangles(events: Iterable[Event], axis: Axis, y: float, height: float) -> str:
    """One path for all."""
    joined: list[list[float]] = []
    for each in events:
        start, end = axis.place(each.ts), axis.place(each.ts + each.dur)
        if joined and start - joined[-1][1] < _GRAIN:
            joined[-1][1] = max(end, joined[-1][1])
        else:
            joined.append([start, max(end, start + _GRAIN)])
    return "".join(f"M{start:.2f} {px(y)}H{end:.2f}V{px(y + height)}H{start:.2f}z" for start, end in joined)


def _area(steps: Sequence[Step], axis: Axis, y: float, height: float) -> str:
    """The ground under a line of steps, 100 % high at most."""
    base = y + height
    parts = [f"M{px(axis.start)} {px(base)}"]
    for each in steps:
        top = base - height * min(max(each.value, 0.0), 100.0) / 100.0
        parts.append(f"H{axis.place(min(each.at, axis.high)):.2f}V{px(top)}")
    return "".join([*parts, f"H{px(axis.end)}V{px(base)}z"])
