"""The Pareto front against a brute-force oracle."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from toolchain.report.pareto import dominates, front, staircase

COORDINATE = st.integers(0, 5).map(float)
POINTS = st.integers(1, 4).flatmap(lambda d: st.lists(st.tuples(*[COORDINATE] * d), max_size=12))
FLAT = st.lists(st.tuples(COORDINATE, COORDINATE), min_size=1, max_size=12)


def brute_force(points: list[tuple[float, ...]]) -> list[int]:
    """By the definition: nobody is at least as good everywhere and better somewhere."""
    kept = []
    for i, p in enumerate(points):
        beaten = any(all(a <= b for a, b in zip(q, p, strict=True)) and q != p for q in points)
        if not beaten:
            kept.append(i)
    return kept


@given(POINTS)
def test_front_is_what_the_definition_says(points):
    assert front(points) == brute_force(points), "the front differs from the brute-force one"


@given(FLAT)
def test_nothing_lies_below_the_staircase(points):
    corners = staircase(points)
    for x, y in points:
        reached = [cy for cx, cy in corners if cx <= x]
        assert reached, f"({x}, {y}) lies left of the whole staircase"
        assert y >= min(reached), f"({x}, {y}) lies below the staircase"


@given(FLAT)
def test_staircase_turns_at_right_angles_and_touches_every_point_of_the_front(points):
    corners = staircase(points)
    for (ax, ay), (bx, by) in itertools.pairwise(corners):
        assert (ax == bx) != (ay == by), "a piece of the staircase is neither level nor upright"
    assert {points[i] for i in front(points)} <= set(corners), "the staircase misses a point of the front"


def test_equal_points_all_stay():
    assert front([(1.0, 2.0), (1.0, 2.0)]) == [0, 1], "equal points must not throw each other out"
    assert not dominates((1.0, 2.0), (1.0, 2.0)), "a point must not dominate its twin"


def test_no_points():
    assert front([]) == []
    assert staircase([]) == []
