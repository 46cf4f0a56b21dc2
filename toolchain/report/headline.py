"""The key figures at the top of the page."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from toolchain.report.entries import Entry
from toolchain.report.gains import Gains
from toolchain.report.ranking import LATENCY, Judgement, best, by_kind, estimated
from toolchain.report.words import KINDS, KindWords, count, listing, show, title_of


@dataclasses.dataclass(frozen=True)
class Tile:
    """One key figure at the top; ``kind`` is None for counts."""

    title: str
    figure: str
    foot: str
    kind: KindWords | None = None
    tone: str = ""


def tiles(entries: Sequence[Entry], gains: Gains | None) -> list[Tile]:
    """Budget, fastest, smallest, most accurate and largest speed-up, as far as they are known."""
    found = [_budget_tile(entries)] if any(e.budget for e in entries) else []
    found += _best_tile(entries, "Fastest", LATENCY)
    found += _best_tile(entries, "Smallest", "model_size")
    found += _best_tile(entries, "Most accurate", "accuracy", largest=True)
    return found + _gain_tile(gains)


def _budget_tile(entries: Sequence[Entry]) -> Tile:
    asked = [e for e in entries if e.budget]
    met, missed = sum(e.met is True for e in asked), sum(e.met is False for e in asked)
    rest = len(asked) - met - missed
    foot = (
        listing([f"{missed} missed"] * bool(missed) + [f"{rest} cannot be judged"] * bool(rest)) or "all promises kept"
    ) + estimated(asked)
    return Tile("Within budget", f"{met} of {len(asked)}", foot, tone="missed" if missed else "open" if rest else "met")


def _best_tile(entries: Sequence[Entry], title: str, metric: str, *, largest: bool = False) -> list[Tile]:
    """The best of the most trusted kind that has one."""
    for kind, group in by_kind(entries, metric).items():
        first = best(group, metric, largest=largest)
        equals = sum(e.value(metric) == first.value(metric) for e in group) - 1
        foot = first.label + (f" and {count(equals, 'other')}" if equals else "")
        title = title if len(group) > 1 else title_of(metric).capitalize()
        return [Tile(title, show(metric, first.value(metric) or 0.0), foot, KINDS[kind])]
    return []


def _gain_tile(gains: Gains | None) -> list[Tile]:
    rows = [g for g in gains.rows if g.pair.judgement is not Judgement.UNKNOWN] if gains else []
    if not rows:
        return []
    helped = [g for g in rows if g.pair.judgement is Judgement.HELPED]
    tone = "met" if len(helped) == len(rows) else "missed"
    precisions = listing(list(dict.fromkeys(g.pair.other.precision for g in rows)), "or")
    return [Tile(f"{precisions} helped", f"{len(helped)} of {len(rows)}", "measurably faster than fp32", tone=tone)]
