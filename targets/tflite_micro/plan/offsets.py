"""Offsets that keep the arena small: heuristics, local search, exact search.

Dynamic storage allocation is NP-hard (Garey and Johnson 1979, SR2), greedy placement by size or by lifetime is
close to the optimum on most networks (Pisarchyk and Lee 2020, "Efficient Memory Management for Deep Neural Net
Inference"). Every effort is a count of elementary operations, never a time: the same problem gives the same
offsets on every machine.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator

from targets.tflite_micro.plan.exact import search
from targets.tflite_micro.plan.fit import Fit, best_fit, first_fit, mate_fit, place_all
from targets.tflite_micro.plan.items import Items

#: Looks at neighbours that local search may take, and pairs of items that exact search may propagate.
LOCAL_WORK, EXACT_WORK = 600_000, 1_000_000
#: Items up to which exact search comes first, and up to which it is tried at all: beyond, a node of the search costs
#: more than the bytes that it ever won.
SMALL, EXACT = 24, 96
_SEED = 20_11


@dataclasses.dataclass(frozen=True)
class Layout:
    """Offsets of items, what they need, how they were found, and whether fewer bytes are proved impossible."""

    offsets: tuple[int, ...]
    top: int
    method: str
    optimal: bool


def lay_out(items: Items, bound: int, local: int = LOCAL_WORK, exact: int = EXACT_WORK) -> Layout:
    """The best offsets found; stops as soon as ``bound`` (bytes that are needed in any case) is reached.

    ``local`` and ``exact`` limit the effort of the two searches. Small problems take the exact one first.
    """
    best = min(_greedy(items, bound), key=lambda layout: layout.top)
    small = len(items) <= SMALL
    if small:
        best = _exact(items, best, bound, exact)
    if not best.optimal:
        best = min(best, _improve(items, best, bound, local), key=lambda layout: layout.top)
    return best if small else _exact(items, best, bound, exact)


def _exact(items: Items, best: Layout, bound: int, work: int) -> Layout:
    if best.optimal or best.top <= bound:
        return dataclasses.replace(best, optimal=True)
    if len(items) > EXACT:
        return best
    found, proved = search(items, best.top, bound, work)
    if found is None:
        return dataclasses.replace(best, optimal=proved)
    return Layout(tuple(found), items.top(found), "exact search", proved)


def sequences(items: Items) -> dict[str, list[int]]:
    """Sequences worth placing in, by name."""
    spans, sizes = items.spans, items.sizes
    degree = [sum(sizes[j] for j, _, _ in rivals) for rivals in items.rivals]
    keys: dict[str, Callable[[int], tuple[int, ...]]] = {
        "largest first": lambda i: (-sizes[i], spans[i][0]),
        "longest-lived first": lambda i: (spans[i][0] - spans[i][1], -sizes[i]),
        "largest size times lifetime first": lambda i: (sizes[i] * (spans[i][0] - spans[i][1] - 1), spans[i][0]),
        "by first use": lambda i: (spans[i][0], -sizes[i]),
        "by last use, backwards": lambda i: (-spans[i][1], -sizes[i]),
        "most contended first": lambda i: (-degree[i] - sizes[i], spans[i][0]),
        "by first use, backwards": lambda i: (-spans[i][0], -sizes[i]),
    }
    return {name: sorted(range(len(items)), key=key) for name, key in keys.items()}


def _greedy(items: Items, bound: int) -> Iterator[Layout]:
    fits: dict[str, Fit] = {"lowest place": first_fit, "tightest gap": best_fit, "over its neighbour": mate_fit}
    for how, fit in fits.items():
        for name, sequence in sequences(items).items():
            offsets = place_all(items, sequence, fit)
            top = items.top(offsets)
            yield Layout(tuple(offsets), top, f"{name}, {how}", top <= bound)
            if top <= bound:
                return


def _improve(items: Items, start: Layout, bound: int, work: int) -> Layout:
    """Walk from several sequences: an item at the top, or one that it rests on, moves forward."""
    draw = random.Random(_SEED)
    rounds = max(20, work // (len(items) + sum(len(rivals) for rivals in items.rivals)))
    by_offset = sorted(range(len(items)), key=lambda i: start.offsets[i])
    starts = [by_offset, *sequences(items).values()]
    best = start
    for sequence in starts:
        found = _walk(items, sequence, bound, max(1, rounds // len(starts)), draw)
        best = min(best, found, key=lambda layout: layout.top)
        if best.top <= bound:
            break
    return best


def _walk(items: Items, sequence: list[int], bound: int, rounds: int, draw: random.Random) -> Layout:
    offsets = place_all(items, sequence)
    top, best = items.top(offsets), tuple(offsets)
    for _ in range(rounds):
        if top <= bound:
            break
        candidate = _move(items, sequence, offsets, top, draw)
        placed = place_all(items, candidate)
        if items.top(placed) <= top:
            sequence, offsets, top, best = candidate, placed, items.top(placed), tuple(placed)
    return Layout(best, top, "local search", top <= bound)


def _move(items: Items, sequence: list[int], offsets: list[int], top: int, draw: random.Random) -> list[int]:
    """The sequence with one critical item moved forward."""
    highest = [i for i in range(len(items)) if offsets[i] + items.sizes[i] == top]
    item = draw.choice(highest)
    for _ in range(draw.randrange(4)):  # walk down to an item that it may rest on
        below = [j for j, above, _ in items.rivals[item] if offsets[j] < offsets[item] <= offsets[j] + above + 15]
        if not below:
            break
        item = draw.choice(below)
    moved = [other for other in sequence if other != item]
    moved.insert(draw.randrange(sequence.index(item) + 1), item)
    return moved
