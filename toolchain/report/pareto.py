"""Which choices are not beaten by another one in every respect."""

from __future__ import annotations

from collections.abc import Sequence

Point = Sequence[float]


def dominates(a: Point, b: Point) -> bool:
    """Whether ``a`` is at least as good as ``b`` everywhere and better somewhere; smaller is better."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


def front(points: Sequence[Point]) -> list[int]:
    """Indices of the points that no other dominates (Pareto 1906), in input order; smaller is better.

    Equal points do not dominate each other: all of them stay. Sorted first, so that a point can
    only be dominated by one before it, and need only be held against the front found so far.
    """
    found: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: tuple(points[i])):
        if not any(dominates(points[kept], points[index]) for kept in found):
            found.append(index)
    return sorted(found)


def staircase(points: Sequence[Point]) -> list[tuple[float, float]]:
    """The corners of the front of two-dimensional points, left to right; smaller is better in both.

    Between two points of the front, the border of what is already reached runs level to the next
    point's first coordinate, and then down to it.
    """
    steps = sorted({(points[i][0], points[i][1]) for i in front([p[:2] for p in points])})
    corners: list[tuple[float, float]] = []
    for x, y in steps:
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    return corners
