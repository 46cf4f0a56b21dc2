"""Ticks with their text, in the unit that fits the axis."""

from __future__ import annotations

import math

from toolchain.report.ticks import Axis, tick_text
from toolchain.report.words import scale_for, show

Ticks = tuple[tuple[str, float], ...]
MANY_DECADES = 1e3  # from here on every tick carries its own prefix


def metric_ticks(name: str, axis: Axis, pixels_each: float) -> tuple[str, Ticks]:
    """The unit for the title (empty where ticks carry it) and the ticks, for an axis in SI base units."""
    if axis.log and axis.high / axis.low >= MANY_DECADES:
        return "", tuple((show(name, value), pixel) for value, pixel in axis.ticks(pixels_each))
    middle = math.sqrt(axis.low * axis.high) if axis.low > 0 else axis.high
    scale = scale_for(name, [middle])
    shown = Axis(axis.low / scale.factor, axis.high / scale.factor, axis.start, axis.end, axis.log)
    return scale.unit, tuple((tick_text(value), pixel) for value, pixel in shown.ticks(pixels_each))


def axis_title(name: str, unit: str, axis: Axis, hint: str = "") -> str:
    """``latency p50 in ms, logarithmic: left is faster``."""
    return f"{name}{f' in {unit}' if unit else ''}{', logarithmic' if axis.log else ''}{f': {hint}' if hint else ''}"
