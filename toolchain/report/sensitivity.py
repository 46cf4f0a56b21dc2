"""The sensitivity of layers as tables and curves."""

from __future__ import annotations

from collections.abc import Sequence

from toolchain.compress.sensitivity.points import PRUNE, RANK, Point
from toolchain.report.charts.curves import Curve, Plot, draw
from toolchain.report.charts.curves import Point as Mark
from toolchain.report.simple import Part, parts_page
from toolchain.steps.sensitivity import Sensitivity, most_sensitive

TITLES = {PRUNE: "Accuracy against the share of channels removed", RANK: "Accuracy against the share of ranks removed"}
_UNITS = {PRUNE: "channels", RANK: "ranks"}


def sensitivity_page(found: Sensitivity) -> str:
    """One HTML document that needs nothing else."""
    parts = [
        Part(TITLES[part], _note(found), draw([_plot(found, part)], TITLES[part]), *table(found, part))
        for part in TITLES
        if any(point.part == part for point in found.points)
    ]
    return parts_page(found.name, "sensitivity", _lead(found), parts)


def table(found: Sensitivity, part: str) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: every layer of a part, the most sensitive first, at every strength."""
    shares = sorted({point.share for point in found.points if point.part == part})
    rows = []
    for layer in most_sensitive(found.points, part):
        points = {p.share: p for p in found.points if (p.part, p.layer) == (part, layer)}
        rows.append([layer, str(next(iter(points.values())).size), *(_cell(points.get(share)) for share in shares)])
    return ["layer", _UNITS[part], *(f"−{share:.0%}" for share in shares)], rows


def _cell(point: Point | None) -> str:
    return "–" if point is None else f"{100 * point.accuracy:.2f} % ({point.left} left)"


def _lead(found: Sensitivity) -> str:
    return f"As it is, the model is right on {100 * found.accuracy:.2f} % of {found.samples:,} training samples."


def _note(found: Sensitivity) -> str:
    return "One layer at a time, without recovery; the most sensitive layer comes first."


def _plot(found: Sensitivity, part: str) -> Plot:
    curves = [_curve(found, part, layer) for layer in most_sensitive(found.points, part)]
    return Plot("accuracy", "accuracy", f"share of {_UNITS[part]} removed", "accuracy", tuple(curves))


def _curve(found: Sensitivity, part: str, layer: str) -> Curve:
    own = sorted((p for p in found.points if (p.part, p.layer) == (part, layer)), key=lambda p: p.share)
    start = Mark(0.0, found.accuracy, f"as it is: {100 * found.accuracy:.2f} %")
    return Curve((start, *(_mark(point) for point in own)), layer)


def _mark(point: Point) -> Mark:
    units = _UNITS[point.part]
    tip = f"{point.layer}: {100 * point.accuracy:.2f} % with {point.left} of {point.size} {units}"
    return Mark(1 - point.left / point.size, point.accuracy, tip)


def sentences(found: Sensitivity, parts: Sequence[str] = tuple(TITLES)) -> list[str]:
    """For the terminal: the model as it is, and the layer that each part is hardest on."""
    said = [_lead(found)]
    for part in parts:
        if order := most_sensitive(found.points, part):
            said.append(f"Most sensitive to fewer {_UNITS[part]}: {order[0]}; least: {order[-1]}.")
    return said
