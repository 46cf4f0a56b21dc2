"""Put labels next to points so that they cover neither a point nor each other."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

from toolchain.report.charts.marks import text_width

_HEIGHT = 1.25  # of a line, in units of the font size
_GAPS = (5.0, 14.0, 26.0, 40.0, 56.0, 76.0, 100.0, 130.0)  # pixels between mark and label
_CLOSE = 16.0  # pixels from which a label needs a leader
Line = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether the two share any area."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def inside(self, other: Box) -> bool:
        """Whether this one lies within the other."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


def line_boxes(points: Sequence[tuple[float, float]], room: float = 2.0) -> list[Box]:
    """Boxes around the level and upright pieces of a line."""
    return [
        Box(min(ax, bx) - room, min(ay, by) - room, max(ax, bx) + room, max(ay, by) + room)
        for (ax, ay), (bx, by) in itertools.pairwise(points)
    ]


@dataclasses.dataclass(frozen=True)
class Label:
    """A placed text: its box, and a line from the point where it had to move away."""

    text: str
    box: Box
    leader: Line | None


@dataclasses.dataclass(frozen=True)
class Spot:
    """A round mark of ``radius`` at (x, y) that wants a label."""

    x: float
    y: float
    radius: float
    text: str


def place_labels(spots: Sequence[Spot], area: Box, size: float, lines: Sequence[Box] = ()) -> list[Label | None]:
    """A label per spot in the same order; None where there is no free place within the area.

    ``lines`` are kept clear as long as there is another place. Greedy: the nearest free of sixteen directions
    on growing circles (point feature labelling, Imhof 1975; right side first), tried in a few
    orders, of which the one with the most labels and the shortest leaders wins.
    """
    keys: list[Callable[[int], float]] = [
        lambda i: i,
        lambda i: spots[i].x,
        lambda i: -spots[i].x,
        lambda i: spots[i].radius,
        lambda i: -_neighbours(spots, i),
    ]
    field = _Field(spots, area, [_around(spot) for spot in spots], lines)
    orders = [sorted(range(len(spots)), key=key) for key in (keys if len(spots) <= 16 else keys[:2])]
    return min((_greedy(field, order, size) for order in orders), key=_cost)


@dataclasses.dataclass(frozen=True)
class _Field:
    """What does not move while labels are placed."""

    spots: Sequence[Spot]
    area: Box
    marks: Sequence[Box]
    lines: Sequence[Box]


def _around(spot: Spot) -> Box:
    return Box(spot.x - spot.radius, spot.y - spot.radius, spot.x + spot.radius, spot.y + spot.radius)


def _greedy(field: _Field, order: Sequence[int], size: float) -> list[Label | None]:
    taken: list[Box] = []
    labels: list[Label | None] = [None] * len(field.spots)
    for index in order:
        label = _first_free(field, index, taken, size)
        labels[index] = label
        if label is not None:
            taken += [label.box, *_along(label.leader)]
    return labels


def _cost(labels: Sequence[Label | None]) -> tuple[int, float]:
    leaders = [label.leader for label in labels if label and label.leader]
    return sum(label is None for label in labels), sum(math.hypot(ax - bx, ay - by) for ax, ay, bx, by in leaders)


def _neighbours(spots: Sequence[Spot], index: int) -> int:
    here = spots[index]
    return sum(math.hypot(s.x - here.x, s.y - here.y) < 90 for s in spots)


def _first_free(field: _Field, index: int, taken: Sequence[Box], size: float) -> Label | None:
    candidates = _candidates(field.spots[index], size, field.area)
    clear = _pick(field, index, candidates, taken, field.lines)
    return clear or _pick(field, index, candidates, taken, ())


def _pick(
    field: _Field, index: int, candidates: Sequence[tuple[float, Box]], taken: Sequence[Box], lines: Sequence[Box]
) -> Label | None:
    spot = field.spots[index]
    for distance, box in candidates:
        if not box.inside(field.area) or any(box.overlaps(other) for other in (*field.marks, *taken, *lines)):
            continue
        doubtful = distance > _CLOSE or any(_distance(s, box) < distance + 3.0 for s in field.spots if s is not spot)
        leader = _leader(spot, box) if doubtful else None
        if not any(step.overlaps(other) for step in _along(leader) for other in taken):
            return Label(spot.text, box, leader)
    return None


def _candidates(spot: Spot, size: float, area: Box) -> list[tuple[float, Box]]:
    """Boxes around the spot with their distance from its edge, nearest first; the right side wins a draw."""
    width, height = text_width(spot.text, size), size * _HEIGHT
    found = []
    for gap in _GAPS:
        for turn in sorted(range(16), key=lambda turn: (min(turn, 16 - turn), turn)):
            angle = turn * math.pi / 8
            x, y = spot.x + (spot.radius + gap) * math.cos(angle), spot.y - (spot.radius + gap) * math.sin(angle)
            left = x - width * (1 - math.cos(angle)) / 2
            top = y - height * (1 + math.sin(angle)) / 2
            for shift in (0.0, 0.4, -0.4) if abs(math.cos(angle)) < 0.8 else (0.0,):
                start = min(max(left + shift * width, area.left), area.right - width)
                box = Box(start, top, start + width, top + height)
                found.append((_distance(spot, box), box))
    return sorted(found, key=lambda item: round(item[0] / 4.0))


def _nearest(spot: Spot, box: Box) -> tuple[float, float]:
    return min(max(spot.x, box.left), box.right), min(max(spot.y, box.top), box.bottom)


def _distance(spot: Spot, box: Box) -> float:
    x, y = _nearest(spot, box)
    return math.hypot(x - spot.x, y - spot.y) - spot.radius


def _leader(spot: Spot, box: Box) -> Line:
    """From the edge of the mark to the nearest point of the box."""
    x, y = _nearest(spot, box)
    edge = spot.radius / (math.hypot(x - spot.x, y - spot.y) or 1.0)
    return spot.x + (x - spot.x) * edge, spot.y + (y - spot.y) * edge, x, y


def _along(leader: Line | None, steps: int = 8) -> list[Box]:
    """Small boxes along a leader, for telling what it crosses."""
    if leader is None:
        return []
    ax, ay, bx, by = leader
    points = [(ax + (bx - ax) * t / steps, ay + (by - ay) * t / steps) for t in range(steps + 1)]
    return [Box(x - 1.5, y - 1.5, x + 1.5, y + 1.5) for x, y in points]
