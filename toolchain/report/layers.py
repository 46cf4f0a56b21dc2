"""Per layer: how much quantization hurts, worst first, and where the time goes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from profiles.measurement import unavailable
from toolchain.report.entries import Entry
from toolchain.report.shapes import Layer
from toolchain.report.words import KINDS, KindWords, Scale, explain, scale_for, title_of

COSTS = ("latency_p50", "cpu_time_p50", "cycles", "instructions", "dram_bytes")
SHOWN = 24  # rows before the rest is folded away


@dataclasses.dataclass(frozen=True)
class Bar:
    """One layer; the bar's ``start`` and ``length`` are in percent. ``extra`` is a second figure."""

    name: str
    op: str
    start: float
    length: float
    text: str
    extra: str
    kind: KindWords
    tip: str


@dataclasses.dataclass(frozen=True)
class Bars:
    """A table of layers: ``shown`` first, ``folded`` behind a click. ``kind`` is set where all rows share it."""

    title: str
    extra: str
    note: str
    shown: tuple[Bar, ...]
    folded: tuple[Bar, ...]
    kind: KindWords | None


def error_bars(entry: Entry) -> Bars | None:
    """Signal to quantization noise per layer, smallest first; None without ``layers.json``."""
    if not entry.errors:
        return None
    ordered = sorted(entry.errors, key=lambda layer: _last_if_missing(_value(layer, "sqnr")))
    values = [v for layer in ordered if (v := _value(layer, "sqnr")) is not None]
    low, high = min([*values, 0.0]), max([*values, 0.0])
    span = (high - low) or 1.0
    bars = [_error_bar(layer, low, span) for layer in ordered]
    note = "Decibels between signal and quantization noise, float against quantized; a shorter bar is a worse layer."
    return _bars("Error per layer", "largest error", note, bars)


def _error_bar(layer: Layer, low: float, span: float) -> Bar:
    worst = layer.metrics.get("max_error")
    extra = "–" if worst is None or worst.value is None else f"{worst.value:.3g}"
    return _bar(layer, "sqnr", (low, span), Scale(1.0, "dB", 1), extra)


def time_bars(entry: Entry) -> Bars | None:
    """Cost per layer in order of execution; None where the engine does not tell.

    A layer that was only compared, but not timed under that name (engines fuse layers), is no part of it.
    """
    name = max(COSTS, key=lambda cost: sum(_value(layer, cost) is not None for layer in entry.layers))
    layers = [layer for layer in entry.layers if any(cost in layer.metrics for cost in COSTS)]
    values = [v for layer in layers if (v := _value(layer, name)) is not None]
    if not values:
        return None
    total, high = sum(values), max(values) or 1.0
    scale = scale_for(name, values, digits=2)
    bars = [_bar(layer, name, (0.0, high), scale, _share(_value(layer, name), total)) for layer in layers]
    together = scale_for(name, [total]).text(total)
    source = "the compiler planned" if entry.not_run else "the engine itself counts"
    note = f"In order of execution, as {source}; {together} together."
    title = "Time per layer" if name in COSTS[:2] else f"{_capital(title_of(name))} per layer"
    return _bars(title, "share", note, bars)


def _capital(title: str) -> str:
    """A larger first letter; the others stay as they are (DRAM)."""
    return title[:1].upper() + title[1:]


def _share(value: float | None, total: float) -> str:
    return "–" if value is None or not total else f"{100 * value / total:.1f} %"


def _bar(layer: Layer, name: str, reach: tuple[float, float], scale: Scale, extra: str) -> Bar:
    metric = layer.metrics.get(name) or unavailable(name, "not told for this layer")
    op = f"{layer.op} · {layer.precision}" if layer.precision else layer.op
    tip = f"{layer.name}, {title_of(name)}. {explain(metric)}"
    if metric.value is None:
        return Bar(layer.name, op, 0.0, 0.0, "–", extra, KINDS[metric.kind], tip)
    low, span = reach
    zero, here = -low / span, (metric.value - low) / span
    start, length = 100 * min(zero, here), 100 * abs(here - zero)
    return Bar(layer.name, op, start, length, scale.text(metric.value), extra, KINDS[metric.kind], tip)


def _bars(title: str, extra: str, note: str, bars: Sequence[Bar]) -> Bars:
    kinds = {bar.kind for bar in bars}
    kind = next(iter(kinds)) if len(kinds) == 1 else None
    return Bars(title, extra, note, tuple(bars[:SHOWN]), tuple(bars[SHOWN:]), kind)


def _value(layer: Layer, name: str) -> float | None:
    metric = layer.metrics.get(name)
    return None if metric is None else metric.value


def _last_if_missing(value: float | None) -> tuple[bool, float]:
    return (value is None, value or 0.0)
