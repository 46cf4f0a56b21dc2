"""The small parts that charts share: path text, marker shapes, and how wide a label will be."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable

from profiles.measurement import Kind

_NARROW = frozenset("ijlI.,:;'|![]()ft ·")
_BROAD = frozenset("mwMW@%")


def px(value: float) -> str:
    """A coordinate with one decimal at most."""
    text = f"{value:.1f}"
    return text.removesuffix(".0").replace("-0", "0") if text in ("-0.0", "-0") else text.removesuffix(".0")


def line_path(points: Iterable[tuple[float, float]]) -> str:
    """SVG path data through the points."""
    return "M" + "L".join(f"{px(x)} {px(y)}" for x, y in points)


def dots_path(points: Iterable[tuple[float, float]], grain: float = 0.5) -> str:
    """One path that is a dot at every point (zero-length strokes with round caps).

    Points are rounded to ``grain`` pixels, and drawn once where several fall together.
    """
    pixels = dict.fromkeys((px(round(x / grain) * grain), px(round(y / grain) * grain)) for x, y in points)
    return "".join(f"M{x} {y}h0" for x, y in pixels)


def marker_path(kind: Kind, x: float, y: float, radius: float) -> str:
    """A mark whose area is that of a circle of ``radius``: circle, diamond, square or triangle by kind."""
    area = math.pi * radius**2
    if kind is Kind.MEASURED:
        r = px(radius)
        return f"M{px(x - radius)} {px(y)}a{r} {r} 0 1 0 {px(2 * radius)} 0a{r} {r} 0 1 0 {px(-2 * radius)} 0z"
    if kind is Kind.STAND_IN:
        h = math.sqrt(area / 2)
        corners = [(x, y - h), (x + h, y), (x, y + h), (x - h, y)]
    elif kind is Kind.SIMULATED:
        h = math.sqrt(area) / 2
        corners = [(x - h, y - h), (x + h, y - h), (x + h, y + h), (x - h, y + h)]
    else:
        side = math.sqrt(area * 4 / math.sqrt(3))
        h = side * math.sqrt(3) / 2
        corners = [(x, y - h * 2 / 3), (x + side / 2, y + h / 3), (x - side / 2, y + h / 3)]
    return line_path(corners) + "z"


def text_width(text: str, size: float) -> float:
    """A cautious guess at the width of sans-serif text of ``size`` pixels."""
    return sum(_advance(char) for char in text) * size


def _advance(char: str) -> float:
    if unicodedata.combining(char):
        return 0.0
    if unicodedata.east_asian_width(char) in "WF":
        return 1.0
    if char in _NARROW:
        return 0.36
    return 0.9 if char in _BROAD else 0.7 if char.isupper() else 0.6


def fit(text: str, size: float, width: float) -> str:
    """The text, cut with an ellipsis where it would be wider than ``width`` pixels."""
    if text_width(text, size) <= width:
        return text
    cut = text
    while cut and text_width(cut + "…", size) > width:
        cut = cut[:-1]
    return cut.rstrip() + "…"
