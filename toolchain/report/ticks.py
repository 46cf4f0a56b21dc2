"""Axes: where to put round numbers, and where a value lies between two pixels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

_MANTISSAS = ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7), (1, 2, 3, 4, 5, 6, 7, 8, 9))
LOG_FROM = 8.0  # an axis is logarithmic when the largest value is this many times the smallest


def linear_ticks(low: float, high: float, most: int) -> list[float]:
    """At most ``most`` multiples of 1, 2, 2.5 or 5 times a power of ten within [low, high].

    Nice numbers after Heckbert, "Nice numbers for graph labels", Graphics Gems 1990.
    """
    if not high > low or most < 1:
        return [low]
    exponent = math.floor(math.log10((high - low) / most))
    for power in range(exponent, exponent + 3):
        for mantissa in (1.0, 2.0, 2.5, 5.0):
            found = _multiples(low, high, mantissa * 10.0**power)
            if len(found) <= most:
                return found
    return [low]


def _multiples(low: float, high: float, step: float) -> list[float]:
    slack = 1e-9
    first, last = math.ceil(low / step - slack), math.floor(high / step + slack)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """At most ``most`` round numbers within [low, high], evenly spread on a logarithmic axis; low > 0.

    The densest of several sets of mantissas that fits; whole decades are thinned out where even
    those are too many; a range without two such numbers gets linear ticks.
    """
    best: list[float] = []
    for mantissas in _MANTISSAS:
        found = _decades(low, high, mantissas)
        if len(best) < len(found) <= most:
            best = found
    if not best:
        decades = _decades(low, high, (1,))
        best = decades[:: math.ceil(len(decades) / most)] if decades else []
    return best if len(best) >= 2 else linear_ticks(low, high, most)


def _decades(low: float, high: float, mantissas: Sequence[int]) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    values = [float(f"{m}e{power}") for power in range(first, last + 1) for m in mantissas]
    return [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]


@dataclasses.dataclass(frozen=True)
class Axis:
    """Maps values from [low, high] to pixels from ``start`` to ``end`` (which may be the smaller)."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """The pixel of a value."""
        a, b, v = (math.log(x) if self.log else x for x in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (v - a) / (b - a)

    def ticks(self, pixels_each: float) -> list[tuple[float, float]]:
        """Round values and their pixels, at least about ``pixels_each`` apart on average."""
        most = max(2, int(abs(self.end - self.start) / pixels_each))
        values = (log_ticks if self.log else linear_ticks)(self.low, self.high, most)
        return [(value, self.place(value)) for value in values]


def axis_for(values: Sequence[float], start: float, end: float, *, pad: float = 0.05, log: bool | None = None) -> Axis:
    """An axis with a little room around ``values`` (at least one).

    Logarithmic when the values span a factor of :data:`LOG_FROM`, unless ``log`` says otherwise.
    Positive values never get an axis that goes below 0.
    """
    low, high = min(values), max(values)
    use_log = low > 0 and high / low >= LOG_FROM if log is None else log and low > 0
    if use_log:
        room = max((high / low) ** pad, 1.05)
        return Axis(low / room, high * room, start, end, log=True)
    room = pad * (high - low) or abs(high) * 0.1 or 1.0
    return Axis(max(low - room, 0.0) if low >= 0 else low - room, high + room, start, end)


def tick_text(value: float) -> str:
    """A round number without an exponent where that is readable: ``0.05``, ``2.5``, ``2,000``."""
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:g}"
    text = f"{value:,.10f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "−")
