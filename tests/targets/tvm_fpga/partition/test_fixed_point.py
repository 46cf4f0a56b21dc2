"""Real factors as integers, for all that can occur."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.tvm_fpga.partition.fixed_point import common_multipliers, multipliers

EXPONENTS = st.floats(-32.9, 15.9)


@given(st.lists(EXPONENTS, min_size=1, max_size=8))
def test_multipliers_are_as_near_as_16_bits_allow(exponents):
    factors = 2.0 ** np.array(exponents)
    mult, shift = multipliers(factors)
    assert ((mult >= 1 << 15) & (mult < 1 << 16)).all(), f"multipliers {mult}"
    assert ((shift >= 0) & (shift <= 48)).all(), f"shifts {shift}"
    assert np.abs(mult / 2.0**shift / factors - 1).max() <= 2.0**-16


@pytest.mark.parametrize("factor", [1.0, 0.5, 2.0**-33, 65535.0, 1 - 2.0**-40, 2 - 2.0**-30])
def test_powers_of_two_and_their_neighbours(factor):
    mult, shift = multipliers(np.array([factor]))
    assert 1 << 15 <= mult[0] < 1 << 16
    assert mult[0] / 2.0 ** shift[0] == pytest.approx(factor, rel=2.0**-16)


def test_tiny_factors_lose_bits_and_nothing_else():
    mult, shift = multipliers(np.array([2.0**-40]))
    assert shift[0] == 48 and mult[0] == 256


@pytest.mark.parametrize("factor", [0.0, -1.0, 65536.0, np.inf, np.nan])
def test_what_no_multiplier_can_be(factor):
    with pytest.raises(ValueError, match="factors"):
        multipliers(np.array([factor]))


@given(st.floats(-9, 15.9), st.floats(0, 8))
def test_two_terms_share_a_shift(exponent, apart):
    factors = [2.0**exponent, 2.0 ** (exponent - apart)]
    numbers, shift = common_multipliers(factors)
    assert 0 <= shift <= 26 and all(0 <= number < 1 << 16 for number in numbers)
    worst = max(abs(number / 2.0**shift - factor) for number, factor in zip(numbers, factors, strict=True))
    assert worst <= max(2.0**-27, factors[0] * 2.0**-16), f"off by {worst:g}"
