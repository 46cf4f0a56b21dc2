"""Requantization: packed constants and searched multipliers against the definitions, in unlimited precision."""

import ctypes
import math
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from targets.tflite_micro.kernels import INCLUDE, SOURCES
from targets.tflite_micro.ops.common import quantize_multiplier
from targets.tflite_micro.ops.pack_dsp import constants
from targets.tflite_micro.ops.requant import fold_bias, reach, rounded_once, thresholds

int32s = st.integers(-(1 << 31), (1 << 31) - 1)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    library = tmp_path_factory.mktemp("requant") / "requant.so"
    sources = [Path(__file__).with_name("requant_host.c"), SOURCES / "ew_finish_dsp.c"]
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-DEW_DSP"]
    subprocess.run(["gcc", "-shared", "-fPIC", *flags, f"-I{INCLUDE}", "-o", library, *sources], check=True)
    return ctypes.CDLL(str(library))


def rounded(value: Fraction) -> int:
    """To nearest, ties away from zero."""
    return int(math.copysign(math.floor(abs(value) + Fraction(1, 2)), value))


def wrapped(value):
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def reference_twice(acc, multiplier, shift):
    """gemmlowp: the doubled high product rounded to nearest, ties upwards, then the shift, ties away from zero."""
    high = math.floor(Fraction(wrapped(acc << max(shift, 0)) * multiplier, 1 << 31) + Fraction(1, 2))
    return rounded(Fraction(high, 1 << max(-shift, 0)))


def reals():
    return st.floats(-40, 8).map(lambda exponent: 2.0**exponent) | st.integers(-31, 4).map(
        lambda exponent: 2.0**exponent
    )


@given(sums=st.lists(int32s, min_size=1, max_size=20), real=reals(), bias=int32s, zero=st.integers(-128, 127))
@settings(max_examples=300, deadline=None)
def test_packed_constants_give_what_requantize_gives(kernels, sums, real, bias, zero):
    multiplier, shift = quantize_multiplier(real)
    span = [min(sums), max(sums)]
    low, high = bias + min(span), bias + max(span)
    both, step = constants(
        np.array([bias], np.int32), np.array([multiplier], np.int32), np.array([shift], np.int8),
        (np.array([low]), np.array([high])),
    )  # fmt: skip
    words = (ctypes.c_int32 * 2)(*both.tolist())
    for value in sums:
        wanted = reference_twice(wrapped(value + bias), multiplier, shift)
        assert kernels.twice(wrapped(value + bias), multiplier, shift) == wrapped(wanted)
        assert kernels.finish(value, words, int(step[0]), 2 * zero + 1) == max(-128, min(127, wrapped(wanted + zero)))


@given(
    acc=st.integers(-(1 << 20), 1 << 20),
    step=st.integers(0, 20),
    zero=st.integers(-128, 127),
    real=st.floats(0.5, 0.999),
)
@settings(max_examples=300, deadline=None)
def test_ties_of_quick_channels_go_away_from_zero(kernels, acc, step, zero, real):
    multiplier = quantize_multiplier(real)[0]
    words = (ctypes.c_int32 * 2)(0, multiplier)
    wanted = max(-128, min(127, reference_twice(acc, multiplier, -1 - step) + zero))
    assert kernels.finish(acc, words, step, 2 * zero + 1) == wanted


def in_doubles(acc, real):
    """What LiteRT computes: the product in double precision, rounded to nearest, ties away from zero."""
    return rounded(Fraction(acc * real))


@given(
    exponent=st.floats(-8, 0.5), mantissa=st.floats(1, 10), bias=st.integers(-(1 << 22), 1 << 22),
    half=st.integers(0, 1 << 24), zero=st.integers(-128, 127),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_searched_multipliers_round_as_doubles_do(kernels, exponent, mantissa, bias, half, zero):
    real = mantissa * 10.0**exponent
    low, high, limits = bias - half, bias + half, (-128 - zero, 127 - zero)
    assume(max(-low, high) * real < 1 << 30)
    once = rounded_once([real], np.array([low]), np.array([high]), limits)
    words = (ctypes.c_int32 * 2)(*once.multiplier.tolist())
    steps = [first for _, first in thresholds(real, low, high, limits)]
    for acc in {low, high, bias, *steps, *(first - 1 for first in steps)}:
        got = kernels.once(acc, words, int(once.shift[0]), int(once.fine))
        wanted = in_doubles(acc, real)
        assert np.clip(got, *limits) == np.clip(wanted, *limits), f"{acc} * {real}: {got} instead of {wanted}"


@pytest.mark.parametrize("limits", [(0, 127), (-128, 0), (-128, 127)])
def test_multipliers_that_rounding_to_nearest_gets_wrong_are_moved(limits):
    moved = 0
    for real in (10.0 ** -np.random.default_rng(0).uniform(3, 5, 150)).tolist():
        once = rounded_once([real], np.array([-(1 << 26)]), np.array([1 << 26]), limits)
        total = 31 - int(once.shift[0]) + 32 * once.fine
        words = [int(word) % (1 << 32) for word in once.multiplier]
        multiplier = words[0] << 32 | words[1] if once.fine else words[0]
        steps = thresholds(real, -(1 << 26), 1 << 26, limits)
        half = 1 << (total - 1)
        assert all((first * multiplier + half) >> total == k for k, first in steps)
        assert all(((first - 1) * multiplier + half) >> total == k - 1 for k, first in steps)
        moved += not once.fine and multiplier != quantize_multiplier(real)[0]
    assert moved > 5, f"{moved} of 150: nothing to be seen here"


def test_powers_of_two_tie_away_from_zero_on_both_sides(kernels):
    for exponent in range(1, 20):
        real, span = 2.0**-exponent, 300 << exponent
        once = rounded_once([real], np.array([-span]), np.array([span]), (-128, 127))
        words = (ctypes.c_int32 * 2)(*once.multiplier.tolist())
        for k in range(-128, 127):
            acc = (2 * k + 1) << (exponent - 1)
            assert kernels.once(acc, words, int(once.shift[0]), int(once.fine)) == (k + 1 if k >= 0 else k)


def test_multipliers_of_a_word_do_where_they_can():
    assert not rounded_once([0.001], np.array([-(1 << 19)]), np.array([1 << 19]), (-128, 127)).fine
    spans = np.array([1 << 28])
    fine = [rounded_once([10.0**-6 * (1 + i / 97)], -spans, spans, (-128, 127)).fine for i in range(40)]
    assert any(fine), "small multipliers have thresholds that 31 bits cannot tell apart"
    zero = rounded_once([0.0, 2.0**-40], np.array([-5, -5]), np.array([5, 5]), (-128, 127))
    assert zero.multiplier.tolist() == [0, 0]


@given(
    rows=st.lists(st.lists(st.integers(-128, 127), min_size=3, max_size=3), min_size=1, max_size=4),
    bias=int32s, zero=st.integers(-128, 127), x=st.lists(st.integers(-128, 127), min_size=3, max_size=3),
)  # fmt: skip
def test_folded_bias_takes_the_zero_point_off(rows, bias, zero, x):
    weights = np.array(rows, np.int8)
    folded = fold_bias(weights, np.full(len(rows), bias, np.int32), zero)
    low, high = reach(weights, folded)
    for place, row in enumerate(rows):
        wanted = bias + sum(w * (value - zero) for w, value in zip(row, x, strict=True))
        raw = int(folded[place]) + sum(w * value for w, value in zip(row, x, strict=True))
        assert wrapped(raw) == wrapped(wanted)
        assert low[place] <= raw <= high[place]
