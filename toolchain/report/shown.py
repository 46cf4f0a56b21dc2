"""The sections on number formats and batch sizes, ready for their templates."""

from __future__ import annotations

import dataclasses

from toolchain.report.batches import Sweep, sweep_table, sweeps
from toolchain.report.batches import Table as SweepTable
from toolchain.report.charts import bars, lines
from toolchain.report.entries import Build
from toolchain.report.format_words import format_sentences
from toolchain.report.formats import Group, Table, format_table, groups


@dataclasses.dataclass(frozen=True)
class Formats:
    """One device and engine; ``name`` is unique on the page, ``bars`` are the chart's two sizes or nothing."""

    name: str
    group: Group
    sentences: list[str]
    table: Table
    bars: list[bars.Bars]


@dataclasses.dataclass(frozen=True)
class Batches:
    """One sweep; ``lines`` are the chart's two sizes or nothing."""

    name: str
    sweep: Sweep
    table: SweepTable
    lines: list[lines.Lines]


def formats(build: Build) -> list[Formats]:
    """Every device and engine whose formats are to be seen side by side."""
    found = []
    for index, group in enumerate(groups(build)):
        drawn = [bars.bars(group, layout, size) for layout, size in ((bars.WIDE, "wide"), (bars.NARROW, "narrow"))]
        pictures = [chart for chart in drawn if chart]
        found.append(Formats(f"formats-{index}", group, format_sentences(group), format_table(group), pictures))
    return found


def batches(build: Build) -> list[Batches]:
    """Every batch sweep."""
    found = []
    for index, sweep in enumerate(sweeps(build.entries)):
        drawn = [lines.lines(sweep, layout, size) for layout, size in ((lines.WIDE, "wide"), (lines.NARROW, "narrow"))]
        found.append(Batches(f"sweep-{index}", sweep, sweep_table(sweep), [chart for chart in drawn if chart]))
    return found
