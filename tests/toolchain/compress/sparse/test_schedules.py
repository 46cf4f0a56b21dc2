"""Schedules against their formulas."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.compress.sparse.schedules import Cosine, Cubic, after_round, split


def test_the_cubic_schedule_is_zhu_and_guptas_equation():
    """400 steps: t0 = 40, the last update at 300, Δt = 26, n = 10."""
    schedule = Cubic(0.9, initial=0.1, begin=0.1, end=0.75, updates=10)
    assert schedule.last(400) == 300
    assert [step for step in range(400) if schedule.due(step, 400)] == [40 + 26 * i for i in range(11)]
    for i in range(11):
        expected = 0.9 + (0.1 - 0.9) * (1 - i / 10) ** 3
        assert schedule.sparsity(40 + 26 * i, 400) == pytest.approx(expected, abs=1e-12)


@given(st.integers(1, 3000), st.floats(0.05, 0.95), st.floats(0, 0.4), st.integers(1, 200))
def test_sparsity_never_falls_and_is_final_with_the_last_update(total, final, begin, updates):
    schedule = Cubic(final, begin=begin, updates=updates)
    due = [step for step in range(total) if schedule.due(step, total)]
    values = [schedule.sparsity(step, total) for step in due]
    assert values == sorted(values)
    assert schedule.sparsity(schedule.last(total), total) == final
    assert schedule.last(total) >= total or schedule.last(total) == due[-1]
    assert len(due) <= 2 * updates + 1


def test_the_share_that_moves_is_a_cosine_that_ends_with_the_moves():
    schedule = Cosine(alpha=0.3, end=0.5, interval=100)
    assert [step for step in range(1000) if schedule.due(step, 1000)] == list(range(25, 500, 25))
    assert [step for step in range(10_000) if schedule.due(step, 10_000)] == list(range(100, 5000, 100))
    assert schedule.share(0, 1000) == pytest.approx(0.3)
    assert schedule.share(250, 1000) == pytest.approx(0.15)
    assert schedule.share(125, 1000) == pytest.approx(0.15 * (1 + math.sqrt(0.5)))
    assert not any(schedule.due(step, 1) for step in range(1))


@given(st.floats(0.01, 0.99), st.integers(1, 20))
def test_every_round_removes_the_same_share_of_what_is_left(sparsity, rounds):
    left = [1.0, *(1 - after_round(sparsity, number, rounds) for number in range(1, rounds + 1))]
    steps = [after / before for before, after in itertools.pairwise(left)]
    assert steps == pytest.approx([steps[0]] * rounds, rel=1e-6)
    assert after_round(sparsity, rounds, rounds) == sparsity


@given(st.integers(0, 100), st.integers(1, 20))
def test_epochs_are_shared_out_evenly(epochs, parts):
    shares = split(epochs, parts)
    assert sum(shares) == epochs and len(shares) == parts
    assert max(shares) - min(shares) <= 1
