"""A picture of the compression benchmark: what every row costs in accuracy against what it gains in time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from benchmarks.compress_figures import Figures

_TEMPLATE = Path(__file__).parent / "compress_picture.svg.j2"
WIDTH, HEIGHT = 860, 470
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 56, 58
#: Families in the order of the legend, with colours that colour-blind people tell apart (Okabe & Ito 2008).
COLOURS = {
    "structured pruning": "#0072B2",
    "unstructured pruning": "#D55E00",
    "low rank": "#009E73",
    "distillation": "#CC79A7",
    "recipe": "#E69F00",
    "baseline": "#555555",
}


@dataclasses.dataclass(frozen=True)
class Dot:
    """One row in pixels; ``label`` is empty where others are as fast and lose less."""

    x: float
    y: float
    colour: str
    label: str
    title: str


@dataclasses.dataclass(frozen=True)
class Scale:
    """From a figure to a pixel."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, inside = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return round(self.start + (inside - low) / (high - low) * (self.end - self.start), 1)


def picture(found: Sequence[Figures], engine: str, where: str) -> str:
    """An SVG; rows that were not measured on ``engine`` are left out."""
    import jinja2

    shown = [each for each in found if engine in each.speed]
    across = Scale(0.8, max(4.0, *(_speed(each, engine) * 1.1 for each in shown)), LEFT, WIDTH - RIGHT, log=True)
    worst = math.ceil(max(each.drop for each in shown) + 0.3)
    best = math.floor(min(each.drop for each in shown) - 0.3)
    down = Scale(best, worst, TOP, HEIGHT - BOTTOM)
    front = _front(shown, engine)
    text = _TEMPLATE.read_text(encoding="utf-8")
    return (
        jinja2.Environment(trim_blocks=True, lstrip_blocks=True, autoescape=True)
        .from_string(text)
        .render(
            width=WIDTH,
            height=HEIGHT,
            box=(LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM),
            dots=[_dot(each, engine, across, down, each in front) for each in shown],
            columns=[(across(value), f"{value:g} ×") for value in (1, 1.5, 2, 3, 4) if value <= across.high],
            rows=[(down(value), f"{-value:+d}" if value else "0") for value in range(best, worst + 1)],
            legend=_legend([name for name in COLOURS if any(each.row.family == name for each in shown)]),
            one=across(1.0),
            zero=down(0.0),
            engine=engine,
            where=where,
        )
    )


def _legend(names: Sequence[str]) -> list[tuple[str, str, int]]:
    """Name, colour and position of each family, side by side."""
    starts = [LEFT + sum(30 + 8 * len(before) for before in names[:index]) for index in range(len(names))]
    return [(name, COLOURS[name], start) for name, start in zip(names, starts, strict=True)]


def _speed(found: Figures, engine: str) -> float:
    return found.speed[engine]["median"]


def _front(shown: Sequence[Figures], engine: str) -> list[Figures]:
    """Rows that no other beats in both time and accuracy, the clearly faster ones."""
    return [
        each
        for each in shown
        if _speed(each, engine) > 1.15
        and not any(_speed(o, engine) >= _speed(each, engine) and o.drop < each.drop for o in shown)
    ]


def _dot(found: Figures, engine: str, across: Scale, down: Scale, named: bool) -> Dot:
    speed = _speed(found, engine)
    title = (
        f"{found.row.name}: {speed:.2f} times as fast, {-found.drop:+.2f} points, {100 * found.macs:.0f} % of the MACs"
    )
    colour = COLOURS.get(found.row.family, COLOURS["baseline"])
    return Dot(across(speed), down(found.drop), colour, found.row.name if named else "", title)
