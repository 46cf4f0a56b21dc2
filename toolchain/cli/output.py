"""What commands print: JSON or tables and sentences on standard output, and nothing else there."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from profiles.measurement import Kind, Metric
from profiles.units import format_quantity
from toolchain.streams import write

#: How each kind of figure is marked in a table; a legend line explains those that occur.
MARKS = {
    Kind.MEASURED: "",
    Kind.STAND_IN: "ˢ",
    Kind.SIMULATED: "ᵐ",
    Kind.ESTIMATED: "ᵉ",
    Kind.UNAVAILABLE: "",
}
LEGEND = {
    Kind.STAND_IN: "ˢ stand-in: run for real, but not on the device itself",
    Kind.SIMULATED: "ᵐ simulated",
    Kind.ESTIMATED: "ᵉ estimated",
}


def print_json(data: Any) -> None:
    """One JSON document on standard output."""
    write(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def print_line(text: str) -> None:
    """One line on standard output."""
    write(f"{text}\n")


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", right: Sequence[str] = ()
) -> None:
    """A table for people; ``right`` names the columns of numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    terminal = sys.stdout.isatty()
    text = io.StringIO()
    Console(file=text, force_terminal=terminal, width=None if terminal else 200).print(table)
    write(text.getvalue())


def show(metric: Metric | Mapping[str, Any] | None) -> str:
    """A figure with unit and mark, or a dash."""
    if metric is None:
        return "–"
    figure = metric if isinstance(metric, Metric) else Metric.from_dict(metric)
    if figure.value is None:
        return "–"
    return format_quantity(figure.value, figure.unit) + MARKS[figure.kind]


#: Metrics that people read in percent.
SHARES = frozenset({"utilization", "device_share"})


def show_named(name: str, metric: Metric | None) -> str:
    """Like :func:`show`, shares in percent."""
    if name in SHARES and metric is not None and metric.available:
        return show_percent(metric.as_dict(), 1)
    return show(metric)


def show_percent(metric: Mapping[str, Any] | None, digits: int = 2) -> str:
    """A share as percent with its mark, or a dash."""
    if metric is None or metric["value"] is None:
        return "–"
    return f"{100 * metric['value']:.{digits}f} %{MARKS[Kind(metric['kind'])]}"


def legend(kinds: Iterable[Kind]) -> str:
    """One line that explains the marks that occur."""
    there = set(kinds)
    return "; ".join(text for kind, text in LEGEND.items() if kind in there)
