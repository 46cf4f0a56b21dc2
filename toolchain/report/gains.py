"""Smaller precision against fp32: what it brought, with the interval that says whether it is real."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from profiles.measurement import comparable
from toolchain.report.entries import Entry
from toolchain.report.ranking import LATENCY, Judgement, Pair, pairs
from toolchain.report.stats import Ratio
from toolchain.report.words import KINDS, KindWords, Scale, scale_for

_VERDICTS = {
    Judgement.HELPED: ("met", "✓", "faster"),
    Judgement.NOT_MEASURABLY: ("missed", "✗", "did not help"),
    Judgement.HARMED: ("missed", "✗", "did not help: slower"),
    Judgement.UNKNOWN: ("open", "?", "cannot be told"),
}
_POINTS = scale_for("accuracy_drop", ())


@dataclasses.dataclass(frozen=True)
class Gain:
    """One pair, ready to print. Bar positions are in percent of the plot's width."""

    pair: Pair
    base_kind: KindWords
    kind: KindWords
    before: str
    after: str
    ratio: str
    interval: str
    bar: tuple[float, float] | None
    whisker: tuple[float, float] | None
    size: str
    accuracy: str
    key: str
    mark: str
    verdict: str


@dataclasses.dataclass(frozen=True)
class Gains:
    """All pairs on one scale; ``one`` is where 1× lies, in percent."""

    rows: tuple[Gain, ...]
    one: float
    end: float


def gains(entries: Sequence[Entry]) -> Gains | None:
    """All pairs, or None where no bundle has an fp32 one to be held against."""
    found = pairs(entries)
    if not found:
        return None
    tops = [max(p.ratio.value, p.ratio.high or 0.0) for p in found if p.ratio]
    end = max([*tops, 1.0]) * 1.06
    values = [v for p in found for e in (p.base, p.other) if (v := e.value(LATENCY)) is not None]
    scale = scale_for(LATENCY, values)
    return Gains(tuple(_gain(pair, end, scale) for pair in found), 100.0 / end, end)


def _gain(pair: Pair, end: float, scale: Scale) -> Gain:
    ratio, one = pair.ratio, 100.0 / end
    key, mark, words = _VERDICTS[pair.judgement]
    bar = whisker = None
    if ratio is not None:
        here = 100.0 * ratio.value / end
        bar = (min(one, here), abs(here - one))
        if ratio.low is not None and ratio.high is not None:
            whisker = (100.0 * ratio.low / end, 100.0 * ratio.high / end)
    return Gain(
        pair=pair,
        base_kind=KINDS[pair.base.kind],
        kind=KINDS[pair.other.kind],
        before=_time(pair.base, scale),
        after=_time(pair.other, scale),
        ratio=f"{ratio.value:.2f}×" if ratio else "–",
        interval=_interval(ratio),
        bar=bar,
        whisker=whisker,
        size=_size(pair),
        accuracy=_accuracy(pair),
        key=key,
        mark=mark,
        verdict=words,
    )


def _interval(ratio: Ratio | None) -> str:
    """With enough digits to see on which side of 1 each end lies."""
    if ratio is None or ratio.low is None or ratio.high is None:
        return ""
    digits = 3 if min(abs(ratio.low - 1.0), abs(ratio.high - 1.0)) < 0.01 else 2
    return f"{ratio.low:.{digits}f}–{ratio.high:.{digits}f}×"


def _time(entry: Entry, scale: Scale) -> str:
    value = entry.value(LATENCY)
    return "–" if value is None else scale.text(value)


def _size(pair: Pair) -> str:
    before, after = pair.base.metric("model_size"), pair.other.metric("model_size")
    if before is None or after is None or not comparable([before, after]) or not before.value or not after.value:
        return "–"
    return (
        f"{before.value / after.value:.2f}× smaller"
        if after.value <= before.value
        else (f"{after.value / before.value:.2f}× larger")
    )


def _accuracy(pair: Pair) -> str:
    before, after = pair.base.metric("accuracy"), pair.other.metric("accuracy")
    if before is None or after is None or not comparable([before, after]):
        return "–"
    change = (after.value or 0.0) - (before.value or 0.0)
    number = _POINTS.number(change)
    return f"{'+' if change > 0 and number.strip('0.') else ''}{number} pp"
