"""Who beats whom: fronts are drawn among figures of one kind only."""

from __future__ import annotations

import math
from collections.abc import Sequence

from profiles.measurement import Kind
from toolchain.report.entries import Entry
from toolchain.report.pareto import front
from toolchain.report.ranking import LATENCY

SIZE = "model_size"


def goodness(entry: Entry, vertical: str) -> tuple[float, float]:
    """Latency and the vertical figure, both with smaller as better."""
    sign = -1.0 if vertical == "accuracy" else 1.0
    return entry.value(LATENCY) or 0.0, sign * (entry.value(vertical) or 0.0)


def beaten_by_kind(shown: Sequence[Entry], vertical: str) -> set[int]:
    """Numbers of the entries that another of the same kinds beats in latency, ``vertical`` and size together."""
    beaten: set[int] = set()
    for group in groups(shown, (LATENCY, vertical, SIZE)):
        points = [(*goodness(e, vertical), e.value(SIZE) or math.inf) for e in group]
        kept = front(points)
        beaten |= {e.number for index, e in enumerate(group) if index not in kept}
    return beaten


def groups(shown: Sequence[Entry], names: Sequence[str]) -> list[list[Entry]]:
    """Entries grouped so that within a group each of the figures ``names`` is of one kind."""
    found: dict[tuple[Kind, ...], list[Entry]] = {}
    for entry in shown:
        kinds = (metric.kind if (metric := entry.metric(n)) else Kind.UNAVAILABLE for n in names)
        found.setdefault(tuple(kinds), []).append(entry)
    return list(found.values())
