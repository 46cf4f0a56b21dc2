"""Who is fastest, who keeps the budget, and whether a smaller precision helped.

Figures are ranked only against figures of the same kind (see ``profiles/measurement.py``).
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Sequence

from profiles.measurement import Kind
from toolchain.report.entries import Entry
from toolchain.report.stats import Ratio, speed_up
from toolchain.report.words import KINDS, count, listing, show, title_of

LATENCY = "latency_p50"


class Judgement(str, enum.Enum):
    """Whether a step helped, as far as the samples can tell."""

    HELPED = "helped"
    NOT_MEASURABLY = "not measurably"
    HARMED = "harmed"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class Pair:
    """A float bundle and one of smaller precision, same device and engine.

    ``ratio`` is the speed-up (above 1: the smaller precision is faster), ``note`` says why there is none.
    """

    base: Entry
    other: Entry
    ratio: Ratio | None
    judgement: Judgement
    note: str = ""


def by_kind(entries: Iterable[Entry], metric: str = LATENCY) -> dict[Kind, list[Entry]]:
    """Entries that have the figure, grouped by how it was obtained, in the order of trust."""
    groups: dict[Kind, list[Entry]] = {kind: [] for kind in KINDS}
    for entry in entries:
        found = entry.metric(metric)
        if found is not None:
            groups[found.kind].append(entry)
    return {kind: group for kind, group in groups.items() if group}


def best(entries: Sequence[Entry], metric: str, *, largest: bool = False) -> Entry:
    """The entry with the smallest (or largest) figure; the first one of equals. One kind only."""
    kinds = {e.metrics[metric].kind for e in entries}
    if len(kinds) != 1 or Kind.UNAVAILABLE in kinds:
        raise ValueError(f"only figures of one kind are ranked, got {sorted(map(str, kinds))}")
    sign = -1.0 if largest else 1.0
    return min(entries, key=lambda e: sign * (e.value(metric) or 0.0))


def pairs(entries: Sequence[Entry]) -> list[Pair]:
    """Every entry of smaller precision with the fp32 one of the same device and engine."""
    floats: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        if entry.precision == "fp32":
            floats.setdefault((entry.device, entry.target), entry)
    others = [e for e in entries if e.precision != "fp32" and (e.device, e.target) in floats]
    return [_judge(floats[e.device, e.target], e) for e in others]


def _judge(base: Entry, other: Entry) -> Pair:
    before, after = base.metric(LATENCY), other.metric(LATENCY)
    if before is None or after is None:
        lacking = base if before is None else other
        return Pair(base, other, None, Judgement.UNKNOWN, f"The latency of {lacking.precision} is unavailable.")
    if before.kind is not after.kind:
        kinds = f"{base.precision} is {KINDS[before.kind].title}, {other.precision} is {KINDS[after.kind].title}"
        return Pair(base, other, None, Judgement.UNKNOWN, f"Not compared: {kinds}.")
    if not before.value or not after.value or min(before.value, after.value) <= 0:
        return Pair(base, other, None, Judgement.UNKNOWN, "A latency of 0 cannot be compared.")
    ratio = speed_up(before, after)
    if ratio.low is None or ratio.high is None:
        note = "Without raw samples or an uncertainty, nobody can say whether this is a difference or noise."
        return Pair(base, other, ratio, Judgement.UNKNOWN, note)
    return Pair(base, other, ratio, judge(ratio), " ".join(_cautions(base, other)))


def _cautions(base: Entry, other: Entry) -> list[str]:
    """What to know before leaning on a pair: unstable runs, and layers that ran in another precision."""
    unstable = [e.precision for e in (base, other) if e.stable is False]
    runs = f"{listing(unstable)} {'run was' if len(unstable) == 1 else 'runs were'}"
    said = [f"The {runs} unstable: measure again before you lean on this."] if unstable else []
    share, total = other.ran_as_asked
    if total and 2 * share <= total:
        said.append(f"Only {share} of {total} compute layers ran in {other.precision}.")
    return said


def judge(ratio: Ratio) -> Judgement:
    """A speed-up whose whole interval lies on one side of 1 is real; otherwise nothing was shown."""
    if ratio.low is None or ratio.high is None:
        return Judgement.UNKNOWN
    if ratio.low > 1.0:
        return Judgement.HELPED
    return Judgement.HARMED if ratio.high < 1.0 else Judgement.NOT_MEASURABLY


def gain_sentences(entries: Sequence[Entry]) -> list[str]:
    """What smaller precisions brought: one sentence for those that helped, one each for those that did not."""
    found = pairs(entries)
    helped = [f"{p.other.label} ×{p.ratio.value:.2f}" for p in found if p.judgement is Judgement.HELPED and p.ratio]
    said = [f"Faster than fp32 on the same engine: {listing(helped)}."] if helped else []
    for pair in found:
        if pair.judgement in (Judgement.NOT_MEASURABLY, Judgement.HARMED) and pair.ratio is not None:
            how = "is slower than" if pair.judgement is Judgement.HARMED else "is not measurably faster than"
            said.append(f"Flagged: {pair.other.label} {how} fp32 on the same engine (×{pair.ratio.value:.2f}).")
    return said


def budget_sentence(entries: Sequence[Entry]) -> str:
    """How many keep their promises, who does not, and who cannot be judged."""
    if not entries:
        return "Nothing was built: the summary lists no bundle."
    asked = [e for e in entries if e.budget]
    noun = _noun(entries)
    if not asked:
        return f"{count(len(entries), noun)} built; no budget was set."
    if len(asked) == 1:
        words = {True: "meets its budget", False: "misses its budget", None: "cannot be held to its budget"}
        return f"The {noun} {words[asked[0].met]}{estimated(asked)}."
    met = sum(e.met is True for e in asked)
    if met == len(asked):
        return f"All {met} {noun}s meet their budget{estimated(asked)}."
    if all(e.met is None for e in asked):
        return f"None of {count(len(asked), noun)} can be held to its budget."
    verb = "meets its" if met == 1 else "meet their"
    return f"{met or 'None'} of {count(len(asked), noun)} {verb} budget{estimated(asked)}."


def estimated(entries: Sequence[Entry]) -> str:
    """``, with latency p50 as estimated``: promises that no run has shown to be kept; empty without any."""
    lines = [(entry, line) for entry in entries for line in entry.budget if line.met is not None]
    found = [line.metric for entry, line in lines if (m := entry.metric(line.metric)) and m.kind is Kind.ESTIMATED]
    return f", with {listing([title_of(name) for name in dict.fromkeys(found)])} as estimated" if found else ""


def _noun(entries: Sequence[Entry]) -> str:
    return "device" if len({e.device for e in entries}) == len(entries) else "bundle"


def shortfalls(entries: Sequence[Entry]) -> list[str]:
    """One sentence on what was missed, one on what cannot be judged."""
    missed = [f"{e.label} ({_lines(e, False)})" for e in entries if e.met is False]
    unclear = [f"{e.label} ({_lines(e, None)})" for e in entries if any(line.met is None for line in e.budget)]
    sentences = [f"Missed by {_first(missed)}."] if missed else []
    return sentences + ([f"Not to be judged: {_first(unclear)}."] if unclear else [])


def _first(words: Sequence[str], most: int = 3) -> str:
    """The first few by name; the table has them all."""
    return listing(words if len(words) <= most else [*words[:most], f"{len(words) - most} more"])


def _lines(entry: Entry, met: bool | None) -> str:
    lines = [line for line in entry.budget if line.met is met]
    return listing([_line_words(line.metric, line.value, line.limit, met) for line in lines])


def _line_words(metric: str, value: float | None, limit: float, met: bool | None) -> str:
    if met is None or value is None:
        return f"{title_of(metric)} is unavailable"
    return f"{title_of(metric)} {show(metric, value)}, allowed {show(metric, limit)}"


def fastest_sentences(entries: Sequence[Entry]) -> list[str]:
    """The fastest of each kind, and whether its lead is real; kinds are not held against each other."""
    return [_fastest(kind, group) for kind, group in by_kind(entries).items()]


def _fastest(kind: Kind, group: Sequence[Entry]) -> str:
    first = best(group, LATENCY)
    title = KINDS[kind].title
    figure = show(LATENCY, first.value(LATENCY) or 0.0)
    if len(group) == 1:
        return f"The only {title} latency: {first.label}, {figure}."
    runner_up = best([e for e in group if e is not first], LATENCY)
    tie = _judge(runner_up, first).judgement is Judgement.NOT_MEASURABLY
    lead = f", not measurably ahead of {runner_up.label}" if tie else ""
    return f"Fastest {title}: {first.label}, {figure}{lead}."
