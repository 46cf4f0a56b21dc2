"""Labels for layers in a chart: their names, or the numbers that the table beside it has."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from toolchain.report.charts.marks import text_width
from toolchain.report.charts.placement import Spot
from toolchain.report.cycles import Work

#: More layers than this get their number for a label.
NAMED = 14
#: Marks closer than so many pixels have one label.
_TOGETHER = 3.0


def named(works: Sequence[Work], spots: Sequence[Spot], size: float, room: float) -> list[Spot]:
    """Spots with names where all of them have room, else with numbers, and one label for all that fall together.

    Args:
        works, spots: layers and perhaps the whole network, and where they are.
        size, room: pixels of the letters, and the most that a name may take.
    """
    layers = [each for each in works if each.number]
    whole = next((each.name for each in works if not each.number), "")
    whole = whole if text_width(whole, size) <= room else whole.split()[0]
    if len(layers) <= NAMED and all(text_width(each.name, size) <= room for each in layers):
        texts = [each.name if each.number else whole for each in works]
    else:
        numbers = _numbers(works, spots)
        texts = [numbers[index] if each.number else whole for index, each in enumerate(works)]
    return [dataclasses.replace(spot, text=text) for spot, text in zip(spots, texts, strict=True)]


def _numbers(works: Sequence[Work], spots: Sequence[Spot]) -> list[str]:
    """``3, 5, 7``: of all layers in one place, at the first of them; nothing at the others."""
    first: dict[int, list[str]] = {}
    for index, (work, spot) in enumerate(zip(works, spots, strict=True)):
        if work.number:
            near = (at for at in first if math.hypot(spots[at].x - spot.x, spots[at].y - spot.y) < _TOGETHER)
            first.setdefault(next(near, index), []).append(str(work.number))
    return [_listed(first.get(index, [])) for index in range(len(works))]


def _listed(numbers: Sequence[str]) -> str:
    """With thin spaces around, so that neighbours do not read as one number."""
    shown = [*numbers[:4], "…"] if len(numbers) > 5 else numbers
    return f"\u2009{', '.join(shown)}\u2009" if shown else ""
