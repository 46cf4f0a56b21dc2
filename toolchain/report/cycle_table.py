"""The table beside the roofline: every layer with its cycles by cause, its bytes, and its share of the roof."""

from __future__ import annotations

import dataclasses

from toolchain.report.charts.roofline import tip
from toolchain.report.cycles import CAUSES, Cycles, Work
from toolchain.report.words import Scale, scale_for, show


@dataclasses.dataclass(frozen=True)
class Part:
    """Cycles of one cause; the bar's ``start`` and ``length`` are in percent."""

    cause: str
    start: float
    length: float


@dataclasses.dataclass(frozen=True)
class Row:
    """One layer, or the whole network (``number`` is empty)."""

    number: str
    name: str
    op: str
    macs: str
    cycles: str
    parts: tuple[Part, ...]
    causes: str
    used: str
    loaded: str
    stored: str
    intensity: str
    roof: str
    tip: str


def rows(found: Cycles) -> list[Row]:
    """Layers in order, then all together. Bars are as long as their cycles, the whole network's as the longest."""
    macs = scale_for("macs", [each.macs for each in found.layers])
    most = max(each.cycles for each in found.layers) or 1.0
    layers = [_row(each, found, macs, most) for each in found.layers]
    return [*layers, _row(found.whole, found, macs, found.whole.cycles or 1.0)]


def _row(work: Work, found: Cycles, macs: Scale, most: float) -> Row:
    intensity = work.intensity
    share = work.rate / found.machine.roof(intensity) if intensity else None
    return Row(
        number=str(work.number or ""),
        name=work.name,
        op=work.op,
        macs=macs.text(work.macs) if work.macs else "–",
        cycles=f"{work.cycles:,.0f}",
        parts=_parts(work, most),
        causes=", ".join(f"{work.causes[cause]:,.0f} {words}" for cause, words in CAUSES.items() if work.causes[cause]),
        used=f"{100 * work.rate / found.machine.macs:.1f} %",
        loaded=_bytes(work.loaded),
        stored=_bytes(work.stored),
        intensity="–" if intensity is None else f"{intensity:,.3g}",
        roof="–" if share is None else f"{100 * share:.0f} %",
        tip=tip(work, found.machine),
    )


def _bytes(value: float) -> str:
    return show("dram_bytes", value) if value else "–"


def _parts(work: Work, most: float) -> tuple[Part, ...]:
    found, at = [], 0.0
    for cause in CAUSES:
        length = 100 * work.causes[cause] / most
        if length > 0:
            found.append(Part(cause, at, length))
        at += length
    return tuple(found)
