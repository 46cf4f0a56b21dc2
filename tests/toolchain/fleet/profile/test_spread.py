"""The arithmetic of outliers, against numpy and by its own definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.fleet.profile.spread import FEWEST, LEAST_SHARE, MOST_SCORE, by_model, outliers, spread

LATENCIES = st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=40)


def named(values):
    return {f"d{n:02}": value for n, value in enumerate(values)}


@given(LATENCIES)
def test_quantiles_are_those_of_numpy(values):
    found = spread(named(values))
    assert np.allclose(found.quantiles, np.percentile(values, [0, 25, 50, 75, 100]))
    assert math.isclose(found.deviation, np.median(np.abs(np.array(values) - np.median(values))), abs_tol=1e-12)


@given(LATENCIES, st.floats(0.1, 100.0))
def test_who_is_marked_does_not_depend_on_the_unit(values, factor):
    """Property: multiplying all values by a constant changes nobody's verdict, but for rounding at the very limit."""
    found = spread(named(values))
    if any(math.isclose(abs(score), MOST_SCORE, rel_tol=1e-6) for score in found.scores.values()):
        return
    if any(math.isclose(abs(v - found.median), LEAST_SHARE * found.median, rel_tol=1e-6) for v in values):
        return
    if 0 < found.deviation < 1e-9 * found.median:
        return
    scaled = {name: value * factor for name, value in named(values).items()}
    assert set(outliers(spread(scaled), scaled)) == set(outliers(found, named(values)))


def test_the_slow_one_is_marked_and_noise_is_not():
    values = named([4.00e-3, 4.01e-3, 3.99e-3, 4.02e-3, 3.98e-3, 4.00e-3, 4.1e-3, 6.5e-3])
    assert outliers(spread(values), values) == ["d07"], "4.1 ms is noise (2.5 % off), 6.5 ms is not"


def test_equal_devices_and_one_other():
    values = named([1.0] * 6 + [2.0, 0.5])
    assert outliers(spread(values), values) == ["d06", "d07"], "without a MAD any large difference counts"
    assert outliers(spread(named([1.0] * 9)), named([1.0] * 9)) == []


def test_few_devices_say_nothing():
    values = named([1.0] * (FEWEST - 2) + [9.0])
    assert spread(values).scores == {} and outliers(spread(values), values) == []


def test_models_are_compared_with_themselves():
    assert by_model({"b": "pi", "a": "pi", "c": "x86"}, ["c", "b", "a"]) == {"pi": ["a", "b"], "x86": ["c"]}


@pytest.mark.parametrize("size", [FEWEST, 50])
def test_half_of_them_off_are_not_outliers(size):
    """The median breaks down at one half only: two clusters of equal size mark nobody as the odd one."""
    values = named([1.0 + n * 1e-3 for n in range(size)] + [2.0 + n * 1e-3 for n in range(size)])
    assert outliers(spread(values), values) == []
