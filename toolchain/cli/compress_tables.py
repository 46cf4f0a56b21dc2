"""The table of a compression recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolchain.cli.output import MARKS, legend, print_line, print_table

if TYPE_CHECKING:
    from toolchain.compress.rows import Row

_VERDICTS = {"helped": "", "not measurably": " ≈", "harmed": " slower", "unknown": " ?"}


def print_rows(rows: Sequence[Row]) -> None:
    """A row per step, each against the one before; then what was flagged, and the whole in one sentence."""
    from toolchain.report.compression import before_each, verdict

    devices = list(dict.fromkeys(name for row in rows for name in row.latency))
    table = [_cells(row, before, devices) for row, before in zip(rows, before_each(rows), strict=True)]
    numbers = ["accuracy", "parameters", "MACs", "stored", *devices]
    print_table(["step", *numbers], table, right=numbers)
    for number, row in enumerate(rows):
        for flag in row.flags:
            print_line(f"flag: step {number}, {row.title}: {flag}")
        for note in row.notes:
            print_line(f"note: step {number}, {row.title}: {note}")
    for device in devices:
        if all(not row.latency[device].available for row in rows if device in row.latency):
            reason = next(row.latency[device].reason for row in rows if device in row.latency)
            print_line(f"note: {device} was not measured: {reason}")
    print_line(f"{verdict(rows)}.")
    judged = "≈ not measurably faster; ? cannot be told; × against the step before, in one run"
    kinds = legend(metric.kind for row in rows for metric in row.latency.values())
    print_line("; ".join(filter(None, [judged if devices else "", kinds])) or "latencies: nothing was measured")


def _cells(row: Row, before: Row | None, devices: Sequence[str]) -> list[str]:
    from toolchain.report.words import show

    costs = (("params", row.params), ("macs", row.macs), ("model_size", row.bytes))
    had = (None, None, None) if before is None else (before.params, before.macs, before.bytes)
    return [
        row.title if row.kept else f"{row.title}, rolled back",
        _accuracy(row, before),
        *(show(name, float(value)) + _share(value, old) for (name, value), old in zip(costs, had, strict=True)),
        *(_latency(row, device) for device in devices),
    ]


def _accuracy(row: Row, before: Row | None) -> str:
    if row.accuracy is None:
        return "–"
    change = "" if before is None or before.accuracy is None else f" ({100 * (row.accuracy - before.accuracy):+.2f})"
    return f"{100 * row.accuracy:.2f} %{change}"


def _share(value: int, before: int | None) -> str:
    return f" ({100 * value / before:.0f} %)" if before else ""


def _latency(row: Row, device: str) -> str:
    from toolchain.report.compression import figure

    metric, speed = row.latency.get(device), row.speed.get(device)
    text = figure(metric) + (MARKS[metric.kind] if metric else "")
    return text if speed is None else f"{text} {speed}{_VERDICTS[speed.judgement]}"
