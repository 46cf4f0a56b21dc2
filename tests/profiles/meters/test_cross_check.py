"""A counter against sampled power: closed forms, and a card whose instruments lag as real ones do."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.meters.base import EnergyReading, Resolution
from profiles.meters.cross_check import ALLOWED, cross_check, integrate

EXACT = Resolution(1e-3, "J", 0.1)


def counted(joules: float, seconds: float, resolution: Resolution = EXACT) -> EnergyReading:
    return EnergyReading(joules, seconds, resolution.uncertainty(joules / seconds, seconds), "counter")


def sampled(power: Callable[[float], float], seconds: float, step: float = 0.05) -> EnergyReading:
    times = np.arange(0.0, seconds + step / 2, step)
    samples = tuple((float(t), float(power(t))) for t in times)
    return EnergyReading(0.0, seconds, 0.0, "sampler", samples=samples)


@given(st.floats(1.0, 500.0), st.floats(-0.2, 0.2), st.floats(2.0, 30.0), st.floats(0.0, 1.0))
def test_constant_power_gives_back_the_deviation(watts: float, off: float, seconds: float, begins: float) -> None:
    found = cross_check(
        counted(watts * seconds, seconds),
        sampled(lambda _: watts * (1 + off), seconds + begins + 0.1),
        begins=begins,
        lag=0.1,
    )
    assert found.deviation == pytest.approx(off, abs=1e-9)
    assert found.margin == pytest.approx(2 * 0.1 / math.sqrt(6) / seconds, rel=1e-3), "only the counter's ends are open"
    assert found.agrees is (None if found.margin > ALLOWED else abs(found.deviation) <= ALLOWED)


@given(st.floats(0.0, 3.0), st.floats(0.1, 3.0), st.floats(-5.0, 5.0))
def test_the_cut_of_a_straight_line_is_exact(start: float, length: float, slope: float) -> None:
    samples = tuple((t, 20 + slope * t) for t in np.linspace(0.0, 7.0, 9))
    joules, seconds = integrate(samples, start, start + length)
    assert seconds == pytest.approx(length)
    assert joules == pytest.approx(20 * length + slope * ((start + length) ** 2 - start**2) / 2)


def test_samples_that_end_early_stand_for_the_rest() -> None:
    found = cross_check(counted(700.0, 10.0), sampled(lambda _: 70.0, 8.0), begins=0.5, lag=0.1)
    assert found.deviation == pytest.approx(0.0, abs=1e-9)
    beside = cross_check(counted(70.0, 1.0), sampled(lambda _: 70.0, 1.0), begins=5.0, lag=0.1)
    assert beside.deviation == pytest.approx(0.0, abs=1e-9), "samples beside the window give their mean"


def test_power_outside_of_the_window_does_not_count() -> None:
    """200 W within the counter's window from 1 s to 11 s, 20 W around it."""
    found = cross_check(
        counted(2000.0, 10.0), sampled(lambda t: 200.0 if 1.0 <= t <= 11.0 else 20.0, 12.0), begins=1.0, lag=0.0
    )
    assert found.deviation == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("integrated", "agrees", "words"),
    [(103.0, True, "agrees: +3.0%"), (94.9, False, "DISAGREES (allowed 5%): -5.1%"), (105.1, False, "DISAGREES")],
)
def test_five_percent_are_allowed(integrated: float, agrees: bool, words: str) -> None:
    found = cross_check(counted(1000.0, 10.0), sampled(lambda _: integrated, 11.0), lag=0.1)
    assert found.agrees is agrees
    assert words in found.sentence
    assert "100 W counted" in found.sentence


def test_a_short_window_cannot_tell() -> None:
    """Ends of 100 ms leave 8 % of one second open, whatever the samples say."""
    found = cross_check(counted(100.0, 1.0), sampled(lambda _: 150.0, 1.2), lag=0.1)
    assert found.agrees is None
    assert "leave 8% open" in found.sentence


def lagging(power: Callable[[float], float], average: float) -> Callable[[float], float]:
    """A sensor that shows the mean of the last ``average`` seconds."""
    return lambda t: float(np.mean([power(t - x) for x in np.linspace(0, average, 50)]))


@pytest.mark.parametrize(("average", "tells"), [(0.1, True), (1.0, False)])
def test_a_sensor_that_averages_over_a_second_needs_longer_windows(average: float, *, tells: bool) -> None:
    """A card that goes from 30 W to 250 W as the window begins: within the stated margin, or not told at all."""

    def power(t: float) -> float:
        return 250.0 if t >= 0.3 else 30.0

    def check(seconds: float) -> object:
        return cross_check(
            counted(250.0 * seconds, seconds), sampled(lagging(power, average), seconds + 1.0), begins=0.3, lag=average
        )

    ten, sixty = check(10.0), check(60.0)
    assert ten.agrees is (True if tells else None), f"{ten.sentence}"
    assert sixty.agrees is True, sixty.sentence
    assert abs(ten.deviation) < ten.margin, "the lag is what the margin allows for"
