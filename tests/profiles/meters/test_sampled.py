from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import ConfigError, DataError, UnreachableError
from profiles.meters.base import Resolution
from profiles.meters.sampled import SampledMeter, sampling_uncertainty, trapezoid

NEVER = 1e6


class Sensor(SampledMeter):
    """A sensor that shows a function of time, at times that the test sets."""

    name = "test"
    covers = "a test"

    def __init__(self, power: Callable[[float], float], *, interval: float = NEVER, clock=None) -> None:
        super().__init__(interval=interval, clock=clock or (lambda: self.now))
        self.now = 0.0
        self.power = power
        self.taken = 0
        self.enough = threading.Event()
        self.broken = False

    def open(self) -> None:
        if self.broken:
            raise UnreachableError("the sensor is gone")

    def watts(self) -> dict[str, float]:
        self.taken += 1
        if self.taken >= 5:
            self.enough.set()
        self.open()
        half = self.power(self.now) / 2
        return {"a": half, "b": half}

    @property
    def resolution(self) -> Resolution:
        return Resolution(0.01, "W", self.interval)

    def run(self, times: list[float]) -> object:
        self.now = times[0]
        self.start()
        for self.now in times[1:-1]:
            self.sample()
        self.now = times[-1]
        return self.stop()


times_rising = st.lists(st.floats(0.001, 10.0), min_size=1, max_size=50).map(
    lambda steps: np.cumsum([0.0, *steps]).tolist()
)


@given(times_rising, st.floats(0.0, 100.0))
def test_constant_power(times: list[float], watts: float) -> None:
    reading = Sensor(lambda _: watts).run(times)
    assert reading.joules == pytest.approx(watts * times[-1])
    assert reading.seconds == pytest.approx(times[-1])
    assert reading.rails == {"a": pytest.approx(reading.joules / 2), "b": pytest.approx(reading.joules / 2)}
    assert len(reading.samples) == len(times)


@given(times_rising, st.floats(0.0, 10.0), st.floats(0.0, 10.0))
def test_linear_ramp_is_exact_at_any_sampling(times: list[float], start: float, slope: float) -> None:
    reading = Sensor(lambda t: start + slope * t).run(times)
    end = times[-1]
    assert reading.joules == pytest.approx(start * end + slope * end**2 / 2, rel=1e-9, abs=1e-9)


@given(st.floats(0.5, 5.0), st.integers(100, 1000))
def test_sine_is_within_the_bound_of_the_trapezoid_rule(seconds: float, count: int) -> None:
    """Error at most T h² max|P''| / 12; P = 5 + 2 sin(3 t)."""
    times = np.linspace(0, seconds, count)
    exact = 5 * seconds + 2 / 3 * (1 - math.cos(3 * seconds))
    bound = seconds * (seconds / (count - 1)) ** 2 * 18 / 12
    assert abs(trapezoid(times, 5 + 2 * np.sin(3 * times)) - exact) <= bound * 1.001 + 1e-12


def test_scatter_is_the_standard_error_of_the_mean() -> None:
    """Monte Carlo: 50 independent samples of noisy power over 10 s."""
    rng = np.random.default_rng(3)
    noisy = rng.normal(5.0, 0.4, (4000, 50))
    actual = float(np.std(noisy.mean(axis=1) * 10.0))
    stated = np.mean([sampling_uncertainty(row, 10.0, Resolution(0.0, "W", 0.2)) for row in noisy])
    assert stated == pytest.approx(actual, rel=0.05)


def test_resolution_stays_however_many_samples() -> None:
    stated = sampling_uncertainty([5.0] * 10_000, 10.0, Resolution(0.04, "W", 0.001))
    assert stated == pytest.approx(0.04 / math.sqrt(12) * 10.0)


def test_the_thread_samples_until_stopped() -> None:
    sensor = Sensor(lambda _: 3.0, interval=0.001, clock=time.monotonic)
    sensor.start()
    thread = sensor._thread
    assert sensor.enough.wait(10.0), "the background thread did not sample"
    reading = sensor.stop()
    assert reading.joules == pytest.approx(3.0 * reading.seconds)
    assert len(reading.samples) >= 5
    assert thread is not None
    assert not thread.is_alive()


def test_a_failure_in_between_comes_out_at_the_end() -> None:
    sensor = Sensor(lambda _: 3.0, interval=0.001, clock=time.monotonic)
    sensor.start()
    sensor.broken = True
    assert sensor._thread is not None
    sensor._thread.join(10.0)
    sensor.broken = False
    with pytest.raises(UnreachableError, match="gone"):
        sensor.stop()
    sensor.start()  # and the meter can be used again
    assert sensor.enough.wait(10.0)
    sensor.stop()


def test_available_tells_why_not() -> None:
    sensor = Sensor(lambda _: 3.0)
    assert sensor.available() == ""
    sensor.broken = True
    assert sensor.available() == "the sensor is gone"


def test_wrong_order_is_refused() -> None:
    sensor = Sensor(lambda _: 3.0)
    with pytest.raises(ConfigError, match="not measuring"):
        sensor.stop()
    sensor.start()
    with pytest.raises(ConfigError, match="already measuring"):
        sensor.start()
    with pytest.raises(DataError, match="needs some time"):
        sensor.stop()


def test_a_sample_counts_for_the_middle_of_its_reading() -> None:
    moments = iter([0.0, 0.2, 10.0, 10.4])
    sensor = Sensor(lambda _: 3.0, clock=lambda: next(moments))
    sensor.start()
    reading = sensor.stop()
    assert reading.seconds == pytest.approx(10.1)
    assert reading.seconds_uncertainty == pytest.approx(math.sqrt((0.1**2 + 0.2**2) / 3))
