"""What the formats of one device and engine have to say for themselves, in sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

from profiles.measurement import Kind, comparable
from toolchain.report.entries import Entry
from toolchain.report.formats import LATENCIES, Format, Group
from toolchain.report.ranking import Judgement, best, by_kind, judge
from toolchain.report.stats import Ratio, speed_up
from toolchain.report.words import KINDS, count, listing, show

#: How an engine tells, among its facts, of kernels that round to 8 bits in a launch of their own.
ALONE = "requantization kernels"
_CLOCKS = {LATENCIES[0]: " by CUDA events", LATENCIES[1]: " by the host's clock"}


def clock(entries: Sequence[Entry]) -> str:
    """The latency by which entries are compared: CUDA events where two entries of one kind have them."""
    return next((name for name in LATENCIES if _most(entries, name) > 1), "") or next(
        (name for name in LATENCIES if _most(entries, name)), LATENCIES[1]
    )


def _most(entries: Sequence[Entry], name: str) -> int:
    return max((len(group) for group in by_kind(entries, name).values()), default=0)


def format_sentences(group: Group) -> list[str]:
    """Who is fastest, whether int8 is worth it, the baseline, what was not measured, and what was not built."""
    return [*_fastest(group), *smaller(group), *_beside(group), *unmeasured(group), *_not_built(group.rows)]


def _fastest(group: Group) -> list[str]:
    """One sentence per kind of figure, the most trusted first."""
    name = clock(group.entries)
    return [_lead(group, name, kind, found) for kind, found in by_kind(group.entries, name).items()]


def _lead(group: Group, name: str, kind: Kind, found: Sequence[Entry]) -> str:
    first = best(found, name)
    figure = f"{show(name, first.value(name) or 0.0)}{_CLOCKS[name]}"
    if len(found) == 1:
        return f"The only {KINDS[kind].title} format on {group.title}: {first.precision}, {figure}."
    rest = [e for e in found if e is not first]
    ties = [e.precision for e in rest if _judgement(e, first, name) is Judgement.NOT_MEASURABLY]
    slowest = max(rest, key=lambda e: e.value(name) or 0.0)
    lead = (
        f"not measurably ahead of {listing(ties)}"
        if ties
        else f"{_times(slowest, first, name)} as fast as {slowest.precision}"
    )
    return f"Fastest {KINDS[kind].title} format on {group.title}: {first.precision}, {figure}, {lead}."


def _beside(group: Group) -> list[str]:
    """The fastest format against the fastest run of the plain framework on the same device, by the same clock."""
    name = clock([*group.entries, *group.beside])
    theirs = by_kind(group.beside, name)
    pairs = [
        (best(mine, name), best(theirs[kind], name))
        for kind, mine in by_kind(group.entries, name).items()
        if kind in theirs
    ]
    return [_lead_over(first, other, name) for first, other in pairs]


def _lead_over(first: Entry, other: Entry, name: str) -> str:
    judgement = _judgement(other, first, name)
    if judgement is Judgement.NOT_MEASURABLY:
        return f"{first.short} is not measurably faster than {other.short} on the same device."
    if (first.value(name) or 0.0) > (other.value(name) or 0.0):
        return f"{first.short} takes {_times(first, other, name)} as long as {other.short} on the same device."
    return f"{first.short} is {_times(other, first, name)} as fast as {other.short} on the same device{_CLOCKS[name]}."


def smaller(group: Group) -> list[str]:
    """Whether each format of 8 bits or fewer beats fp16; said outright where it does not."""
    base = group.of("fp16")
    others = [e for e in group.entries if e.precision in ("fp8", "int8", "int4")]
    return [sentence for e in others if base for sentence in _against(base, e, clock([base, e]))]


def _against(base: Entry, other: Entry, name: str) -> list[str]:
    before, after = base.metric(name), other.metric(name)
    if before is None or after is None or not comparable([before, after]):
        return []
    if not before.value or not after.value or min(before.value, after.value) <= 0:
        return []
    pair = f"{other.precision} {{}} {base.precision} on this device"
    judgement, ratio = _judgement(base, other, name), speed_up(after, before)
    if judgement is Judgement.HELPED:
        return [f"{pair.format('is faster than')}: {1 / ratio.value:.2f} ×{_range(speed_up(before, after))}."]
    if judgement is Judgement.NOT_MEASURABLY:
        return [f"{pair.format('is not measurably faster than')}: {1 / ratio.value:.2f} ×{_alone(other)}."]
    if judgement is Judgement.HARMED:
        return [f"{pair.format('is slower than')}: {ratio.value:.2f} ×{_range(ratio)}{_alone(other)}."]
    words = "took longer than" if ratio.value > 1 else "took less time than"
    return [f"{pair.format(words)} ({max(ratio.value, 1 / ratio.value):.2g} ×), without samples to tell it from noise."]


def _judgement(base: Entry, other: Entry, name: str) -> Judgement:
    """Whether ``other`` is faster than ``base``, as far as the samples can tell."""
    before, after = base.metric(name), other.metric(name)
    if before is None or after is None or min(before.value or 0.0, after.value or 0.0) <= 0:
        return Judgement.UNKNOWN
    return judge(speed_up(before, after))


def _times(slow: Entry, fast: Entry, name: str) -> str:
    return f"{(slow.value(name) or 0.0) / (fast.value(name) or 1.0):.2g} ×"


def _range(ratio: Ratio) -> str:
    return "" if ratio.low is None or ratio.high is None else f" ({ratio.low:.2f}–{ratio.high:.2f})"


def _alone(entry: Entry) -> str:
    """``; 9 requantization kernels stand alone`` where the engine tells."""
    found = stand_alone(entry)
    return f"; {count(found, 'requantization kernel')} {'stands' if found == 1 else 'stand'} alone" if found else ""


def stand_alone(entry: Entry) -> int:
    """Kernels that round to 8 bits in a launch of their own; 0 where the engine does not tell."""
    told = re.match(r"\d+", str(entry.profile.facts.get(ALONE, ""))) if entry.profile else None
    return int(told[0]) if told else 0


def unmeasured(group: Group) -> list[str]:
    """Formats without a latency, with the reason said once, and what the compiler planned for them."""
    reasons: dict[str, list[Entry]] = {}
    for entry in group.entries:
        if not any(entry.metric(name) for name in LATENCIES):
            reasons.setdefault(_reason(entry), []).append(entry)
    return [_unmeasured_sentence(group, why, found) for why, found in reasons.items()]


def _reason(entry: Entry) -> str:
    if entry.not_run:
        return f"compiled, not run: {entry.not_run}"
    metric = entry.metrics.get(LATENCIES[1])
    return metric.reason if metric else "it was built, but not profiled"


def _unmeasured_sentence(group: Group, why: str, found: Sequence[Entry]) -> str:
    who = "" if len(found) == len(group.entries) else f"{listing([e.precision for e in found])} "
    start = f"{who}not measured on {group.title}: {why.rstrip('.')}{_planned(found)}."
    return start if who else start[0].upper() + start[1:]


def _planned(found: Sequence[Entry]) -> str:
    """``; the compiler planned 21 kernels for int8 and 13 for fp16``, smallest format first."""
    plans = [(e, int(value)) for e in reversed(found) if (value := e.value("kernels")) is not None]
    words = [
        f"{number if index else count(number, 'kernel')} for {entry.precision}{_apart(entry)}"
        for index, (entry, number) in enumerate(plans)
    ]
    return f"; the compiler planned {listing(words)}" if words else ""


def _apart(entry: Entry) -> str:
    found = stand_alone(entry)
    return f" ({found} of them to requantize)" if found else ""


def _not_built(rows: Sequence[Format]) -> list[str]:
    return [f"{row.precision} was not built: {row.why.rstrip('.')}." for row in rows if row.entry is None]
