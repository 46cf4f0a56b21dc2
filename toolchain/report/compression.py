"""What compression did, step by step, as data for the page: a table, and accuracy against cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from profiles.measurement import Kind, Metric
from toolchain.compress.rows import Row
from toolchain.report.charts.curves import Curve, Drawing, Plot, Point, draw
from toolchain.report.words import KINDS, KindWords, count, explain, show

_CHIPS = {
    "helped": ("met", "✓", "faster"),
    "not measurably": ("missed", "✗", "not measurably faster"),
    "harmed": ("missed", "✗", "slower"),
    "unknown": ("open", "?", "cannot be told"),
}


@dataclasses.dataclass(frozen=True)
class Cost:
    """One counted figure, and its share of what the step began with."""

    text: str
    share: str


@dataclasses.dataclass(frozen=True)
class Latency:
    """One device: the figure, its kind, the speed-up against the step before, and the verdict as a chip."""

    device: str
    text: str
    kind: KindWords
    tip: str
    ratio: str
    chip: tuple[str, str, str] | None


@dataclasses.dataclass(frozen=True)
class Line:
    """One step, ready to print."""

    row: Row
    accuracy: str
    change: str
    costs: tuple[Cost, ...]
    latencies: tuple[Latency, ...]


@dataclasses.dataclass(frozen=True)
class Compression:
    """The section: its lines, the devices, the pictures and one sentence on the whole."""

    lines: tuple[Line, ...]
    devices: tuple[str, ...]
    charts: list[Drawing]
    verdict: str


COSTS = (("params", "Parameters"), ("macs", "MACs"), ("bytes", "Stored"))
_METRICS = {"params": "params", "macs": "macs", "bytes": "model_size"}


def compression(rows: Sequence[Row]) -> Compression | None:
    """The section, or None where nothing was compressed."""
    if not rows:
        return None
    befores = before_each(rows)
    devices = tuple(dict.fromkeys(name for row in rows for name in row.latency))
    lines = tuple(_line(row, before, devices) for row, before in zip(rows, befores, strict=True))
    return Compression(lines, devices, draw(_plots(rows, devices), "Accuracy against cost"), verdict(rows))


def before_each(rows: Sequence[Row]) -> list[Row | None]:
    """For every row that of the model which the step began with: the last one that was kept."""
    found: list[Row | None] = []
    last: Row | None = None
    for row in rows:
        found.append(last)
        last = row if row.kept else last
    return found


def verdict(rows: Sequence[Row]) -> str:
    """The whole recipe in one sentence: ``2 steps: 2.40 × fewer MACs, …, accuracy −0.30 points, faster on x: ×1.9``."""
    start, end = rows[0], [row for row in rows if row.kept][-1]
    parts = [_fewer(start.macs, end.macs, "MACs"), _fewer(start.params, end.params, "parameters")]
    parts.append(_fewer(start.bytes, end.bytes, "stored bytes"))
    if start.accuracy is not None and end.accuracy is not None:
        parts.append(f"accuracy {points(end.accuracy - start.accuracy)}")
    parts += [_total(end, device) for device in end.total]
    gone = sum(not row.kept for row in rows)
    steps = count(len(rows) - 1, "step") + (f" ({gone} rolled back)" if gone else "")
    return f"{steps}: {', '.join(parts)}"


def _total(end: Row, device: str) -> str:
    """``faster on local-cpu: ×2.10 (2.05–2.15)``; what was not measured on the device itself says so."""
    speed, metric = end.total[device], end.latency.get(device)
    how = f", {metric.kind.value.replace('_', ' ')}" if metric and metric.kind is not Kind.MEASURED else ""
    return f"{_CHIPS[speed.judgement][2]} on {device}: {speed}{how}"


def _fewer(before: int, after: int, what: str) -> str:
    if before == after:
        return f"as many {what}"
    if after > before:
        return f"{after / before:.2f} × as many {what}"
    return f"{before / after:.2f} × fewer {what}" if after else f"no {what} left"


def points(change: float) -> str:
    """``−0.30 points``, ``+1.20 points``."""
    text = f"{100 * change:+.2f}".replace("-", "−")
    return f"{text.replace('+0.00', '±0.00').replace('−0.00', '±0.00')} points"


def _line(row: Row, before: Row | None, devices: Sequence[str]) -> Line:
    accuracy = "–" if row.accuracy is None else f"{100 * row.accuracy:.2f} %"
    known = before is not None and row.accuracy is not None and before.accuracy is not None
    change = points((row.accuracy or 0.0) - (before.accuracy or 0.0)) if known and before else ""
    costs = tuple(_cost(row, before, name) for name, _ in COSTS)
    return Line(row, accuracy, change, costs, tuple(_latency(row, device) for device in devices))


def _cost(row: Row, before: Row | None, name: str) -> Cost:
    value, had = getattr(row, name), getattr(before, name) if before else 0
    return Cost(show(_METRICS[name], float(value)), f"{100 * value / had:.0f} %" if had else "")


def _latency(row: Row, device: str) -> Latency:
    metric, speed = row.latency.get(device), row.speed.get(device)
    kind = KINDS[metric.kind if metric else Kind.UNAVAILABLE]
    tip = explain(metric) if metric else "Unavailable: not part of this run"
    chip = _CHIPS[speed.judgement] if speed else None
    return Latency(device, figure(metric), kind, tip, str(speed) if speed else "", chip)


def figure(metric: Metric | None) -> str:
    """A latency with its unit; counts are of instructions or cycles."""
    if metric is None or metric.value is None:
        return "–"
    if metric.unit == "s":
        return show("latency_p50", metric.value)
    return f"{show('instructions', metric.value)} {'instructions' if 'instruction' in metric.method else 'cycles'}"


def _plots(rows: Sequence[Row], devices: Sequence[str]) -> list[Plot]:
    if any(row.accuracy is None for row in rows):
        return []
    macs = Curve(tuple(_point(number, row, float(row.macs), show("macs", row.macs)) for number, row in enumerate(rows)))
    return [
        Plot("macs", "accuracy", "multiply-accumulates", "accuracy", (macs,)),
        *(plot for device in devices if (plot := _timed(rows, device))),
    ]


def _timed(rows: Sequence[Row], device: str) -> Plot | None:
    """Accuracy against the latency on one device, where every figure is of one kind."""
    found = [(number, row, row.latency.get(device)) for number, row in enumerate(rows)]
    kinds = {metric.kind if metric else Kind.UNAVAILABLE for _, _, metric in found}
    if len(kinds) != 1 or Kind.UNAVAILABLE in kinds:
        return None
    made = [_point(number, row, metric.value or 0.0, figure(metric)) for number, row, metric in found if metric]
    name = "latency_p50" if found[0][2] and found[0][2].unit == "s" else "instructions"
    what = "latency p50" if name == "latency_p50" else "instructions or cycles"
    return Plot(name, "accuracy", f"{what} on {device}", "accuracy", (Curve(tuple(made)),), next(iter(kinds)))


def _point(number: int, row: Row, cost: float, text: str) -> Point:
    tip = f"{row.title}: accuracy {100 * (row.accuracy or 0.0):.2f} %, {text}{'' if row.kept else ', rolled back'}"
    return Point(cost, row.accuracy or 0.0, tip, f"{number} {row.step}" if number else row.step, not row.kept)
