"""Put items one after the other, each at the best place that those before it leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from targets.tflite_micro.plan.items import Items
from targets.tflite_micro.plan.problem import padded

#: Chooses an offset for one item, given the offsets of those already placed (-1: not yet).
Fit = Callable[[Items, int, Sequence[int]], int]


def forbidden(items: Items, item: int, offsets: Sequence[int]) -> list[tuple[int, int]]:
    """Open intervals in which the item must not start, sorted."""
    found = [(offsets[j] - below, offsets[j] + above) for j, above, below in items.rivals[item] if offsets[j] >= 0]
    found.sort()
    return found


def first_fit(items: Items, item: int, offsets: Sequence[int]) -> int:
    """The lowest place."""
    align, place = items.aligns[item], 0
    for low, high in forbidden(items, item, offsets):
        if place <= low:
            break
        if place < high:
            place = padded(high, align)
    return place


def best_fit(items: Items, item: int, offsets: Sequence[int]) -> int:
    """The place with the least room to spare; the lowest of several, and the open end only when there is no gap."""
    align, place = items.aligns[item], 0
    best = (1 << 60, 0)
    for low, high in forbidden(items, item, offsets):
        if place <= low:
            best = min(best, (low - place, place))
        if place < high:
            place = padded(high, align)
    return min(best, (1 << 59, place))[1]


def mate_fit(items: Items, item: int, offsets: Sequence[int]) -> int:
    """As close as is safe to a neighbour that it may overlap with, where that is free; else the lowest place."""
    align = items.aligns[item]
    for mate, gap in items.mates[item]:
        if offsets[mate] >= 0:
            place = padded(offsets[mate] + gap, align) if gap >= 0 else (offsets[mate] + gap) // align * align
            blocked = forbidden(items, item, offsets)
            if place >= 0 and not any(low < place < high for low, high in blocked):
                return place
    return first_fit(items, item, offsets)


def place_all(items: Items, sequence: Sequence[int], fit: Fit = first_fit) -> list[int]:
    """Offsets of all items, placed in this sequence."""
    offsets = [-1] * len(items)
    for item in sequence:
        offsets[item] = fit(items, item, offsets)
    return offsets
