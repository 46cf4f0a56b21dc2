"""The sections on number formats, batch sizes and cycles, ready for their templates."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from toolchain.report.batches import Sweep, sweep_table, sweeps
from toolchain.report.batches import Table as SweepTable
from toolchain.report.charts import bars, lines, queues, roofline
from toolchain.report.cycle_table import Row, rows
from toolchain.report.cycles import Cycles, all_cycles, sentence
from toolchain.report.entries import Build
from toolchain.report.format_words import format_sentences
from toolchain.report.formats import Group, Table, format_table, groups
from toolchain.report.words import listing


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


@dataclasses.dataclass(frozen=True)
class Spent:
    """Where the cycles of one bundle went; ``roofs`` and ``queues`` are the charts' two sizes or nothing."""

    name: str
    found: Cycles
    sentence: str
    rows: list[Row]
    roofs: list[roofline.Roofline]
    queues: list[queues.Queues]
    notes: list[str]


def cycles(build: Build) -> list[Spent]:
    """Every bundle for an accelerator that tells."""
    return [_spent(index, found) for index, found in enumerate(all_cycles(build))]


def _spent(index: int, found: Cycles) -> Spent:
    sizes = ("wide", "narrow")
    roofs = [roofline.roofline(found, *each) for each in zip((roofline.WIDE, roofline.NARROW), sizes, strict=True)]
    drawn = [queues.queues(found, *each) for each in zip((queues.WIDE, queues.NARROW), sizes, strict=True)]
    pictures = [chart for chart in drawn if chart]
    return Spent(
        f"cycles-{index}",
        found,
        sentence(found),
        rows(found),
        [chart for chart in roofs if chart],
        pictures,
        list(_remarks(found)),
    )


def _remarks(found: Cycles) -> Iterator[str]:
    """What the pictures do not show."""
    if hidden := [each.name for each in found.layers if each not in found.drawn]:
        yield f"Without products or bytes of their own, and so not in the plane: {listing(hidden)}."
    if found.whole.macs < sum(each.macs for each in found.layers):
        yield "Averages are sums of products with one: counted for their layer, not for all together."
    if any(each.rate > found.machine.roof(each.intensity or 0.0) * 1.001 for each in found.drawn):
        yield "A layer above the port's slope found its weights loaded already, while the ones before it computed."
