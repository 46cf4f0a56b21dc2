"""Round numbers on axes, and the way from a value to a pixel."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from toolchain.report.ticks import Axis, axis_for, linear_ticks, log_ticks, tick_text

POSITIVE = st.floats(1e-9, 1e9)
COUNT = st.integers(2, 12)


def digits(value: float) -> str:
    """The digits that matter of a number."""
    return f"{abs(value):.9e}".split("e")[0].replace(".", "").rstrip("0")


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), COUNT)
def test_linear_ticks_are_evenly_spaced_round_numbers_inside(low, span, most):
    assume(span > abs(low) * 1e-6)
    found = linear_ticks(low, low + span, most)
    assert 1 <= len(found) <= most, f"{len(found)} ticks where at most {most} fit"
    assert all(low - span * 1e-6 <= t <= low + span * (1 + 1e-6) for t in found), "a tick lies outside of the axis"
    steps = [b - a for a, b in itertools.pairwise(found)]
    assert all(s == pytest.approx(steps[0], rel=1e-6) for s in steps), "ticks are not evenly spaced"
    if steps and min(steps) > abs(low) * 1e-5:
        assert digits(float(f"{steps[0]:.6g}")) in ("1", "2", "25", "5"), f"the step {steps[0]} is not round"


@given(POSITIVE, st.floats(1.5, 1e9), COUNT)
def test_log_ticks_are_few_rising_and_inside(low, factor, most):
    found = log_ticks(low, low * factor, most)
    assert 1 <= len(found) <= most, f"{len(found)} ticks where at most {most} fit"
    assert found == sorted(set(found)), "ticks do not rise"
    assert all(low * (1 - 1e-6) <= t <= low * factor * (1 + 1e-6) for t in found), "a tick lies outside of the axis"


@given(POSITIVE, st.floats(12.0, 1e6))
def test_a_whole_decade_and_room_always_give_two_log_ticks(low, factor):
    assert len(log_ticks(low, low * factor, 9)) >= 2, "an axis with one tick cannot be read"


@pytest.mark.parametrize(
    ("low", "high", "most", "wanted"),
    [
        (0.0, 10.0, 6, [0, 2, 4, 6, 8, 10]),
        (0.0, 1.0, 5, [0, 0.25, 0.5, 0.75, 1]),
        (0.1, 0.32, 3, [0.1, 0.2, 0.3]),
    ],
)
def test_linear_ticks_that_a_person_would_choose(low, high, most, wanted):
    assert linear_ticks(low, high, most) == pytest.approx(wanted)


def test_log_ticks_that_a_person_would_choose():
    assert log_ticks(1, 1000, 4) == [1, 10, 100, 1000]
    assert log_ticks(1, 100, 7) == [1, 2, 5, 10, 20, 50, 100]


@given(st.lists(POSITIVE, min_size=1, max_size=9), st.booleans())
def test_every_value_lands_on_its_axis(values, backwards):
    start, end = (900.0, 100.0) if backwards else (100.0, 900.0)
    axis = axis_for(values, start, end)
    for value in values:
        assert 99.9 <= axis.place(value) <= 900.1, f"{value} is drawn outside of the plot"


@given(POSITIVE, POSITIVE)
def test_larger_values_lie_further_along(a, b):
    assume(a < b * 0.999)
    for log in (False, True):
        axis = Axis(1e-10, 1e10, 0.0, 1000.0, log)
        assert axis.place(a) <= axis.place(b), "the axis turns around"


def test_a_wide_range_is_logarithmic_and_a_narrow_one_is_not():
    assert axis_for([1.0, 100.0], 0, 1).log
    assert not axis_for([1.0, 2.0], 0, 1).log
    assert not axis_for([0.0, 100.0], 0, 1).log, "a logarithmic axis cannot show 0"
    assert math.isclose(Axis(1, 100, 0, 200, log=True).place(10), 100)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.05, "0.05"), (2.5, "2.5"), (2000, "2,000"), (-0.5, "−0.5"), (1e9, "1e+09")]
)
def test_tick_text(value, text):
    assert tick_text(value) == text
