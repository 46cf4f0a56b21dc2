from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import ConfigError, DataError, UnreachableError
from profiles.meters import counter
from profiles.meters.base import Resolution
from profiles.meters.counter import CounterMeter, advance


class Counter(CounterMeter):
    """A counter that shows what the test says, at the time that the test says."""

    name = "test"
    covers = "a test"

    def __init__(self, modulus: float | None, *, max_watts: float = 1e9, clock=None) -> None:
        super().__init__(max_watts=max_watts, clock=clock or (lambda: self.now))
        self.now = 100.0
        self.shown = 0.0
        self.modulus = modulus
        self.opened = 0
        self.reads = 0
        self.enough = threading.Event()
        self.broken = False

    def open(self) -> None:
        self.opened += 1

    def close(self) -> None:
        self.opened -= 1

    def read(self) -> dict[str, float]:
        self.reads += 1
        if self.reads >= 5:
            self.enough.set()
        if self.broken:
            raise UnreachableError("the counter is gone")
        return {"a": self.shown}

    def moduli(self) -> Mapping[str, float | None]:
        return {"a": self.modulus}

    @property
    def resolution(self) -> Resolution:
        return Resolution(0.001, "J", 0.0)

    def step(self, joules: float, seconds: float = 1.0) -> None:
        """Use some energy, as the hardware would count it."""
        self.now += seconds
        total = self.shown + joules
        self.shown = total if self.modulus is None else total % self.modulus


@given(st.lists(st.integers(0, 2**32 - 1), max_size=50), st.integers(0, 2**32 - 1))
def test_any_sum_of_steps_below_one_wrap_is_found_again(steps: list[int], start: int) -> None:
    """Against exact whole-number arithmetic of a 32-bit counter, any number of wraps in all."""
    shown, found = start, 0.0
    for step in steps:
        after = (shown + step) % 2**32
        gain = advance(shown, after, 2**32)
        assert gain is not None
        found += gain
        shown = after
    assert found == sum(steps)


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_without_wrap_going_backwards_is_a_reset(before: float, after: float) -> None:
    gain = advance(before, after, None)
    assert (gain is None) == (after < before)
    assert gain is None or gain == after - before


@given(st.lists(st.tuples(st.floats(0.0, 90.0), st.floats(0.01, 10.0)), min_size=1, max_size=20))
def test_meter_adds_up_over_any_number_of_wraps(parts: list[tuple[float, float]]) -> None:
    meter = Counter(100.0, max_watts=9.0)  # 10 s at 9 W stay below one wrap of 100 J
    meter.shown = 50.0
    meter.start()
    for joules, seconds in parts:
        meter.step(min(joules, 9.0 * seconds), seconds)
        meter.poll()
    reading = meter.stop()
    assert reading.joules == pytest.approx(sum(min(j, 9.0 * s) for j, s in parts), abs=1e-9)
    assert reading.seconds == pytest.approx(sum(s for _, s in parts))
    assert reading.rails == {"a": pytest.approx(reading.joules)}


def test_a_wrap_in_the_middle_is_not_negative_energy() -> None:
    meter = Counter(262144.0, max_watts=1000.0)
    meter.shown = 262100.0
    meter.start()
    meter.step(80.0, 4.0)
    reading = meter.stop()
    assert reading.joules == pytest.approx(80.0)
    assert reading.watts == pytest.approx(20.0)


def test_two_wraps_between_readings_are_refused_not_guessed() -> None:
    meter = Counter(1000.0, max_watts=100.0)
    meter.start()
    meter.step(2500.0, 30.0)
    with pytest.raises(DataError, match="wrapped more than once"):
        meter.stop()
    assert meter.opened == 0, "a failed window gives the counter back"


def test_a_reset_is_not_taken_for_a_wrap() -> None:
    meter = Counter(262144.0, max_watts=1000.0)
    meter.shown = 5000.0
    meter.start()
    meter.shown = 3.0
    meter.now += 10.0
    with pytest.raises(DataError, match="was reset"):
        meter.stop()


def test_a_counter_without_wrap_that_falls_was_reset() -> None:
    meter = Counter(None)
    meter.shown = 5000.0
    meter.start()
    meter.shown = 3.0
    meter.now += 10.0
    with pytest.raises(DataError, match="was reset"):
        meter.stop()


@given(st.floats(1.0, 1e6), st.floats(0.1, 1e4))
def test_poll_interval_is_below_half_a_wrap_at_the_greatest_power(modulus: float, watts: float) -> None:
    meter = Counter(modulus, max_watts=watts)
    meter.start()
    interval = meter.poll_seconds
    meter.step(0.0, modulus / watts / 2)
    meter.stop()
    assert interval is not None
    assert interval < modulus / watts / 2


@pytest.fixture
def fast_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter, "LONGEST_POLL", 0.001)


@pytest.mark.usefixtures("fast_polls")
def test_the_thread_polls_until_stopped() -> None:
    meter = Counter(1e12, clock=time.monotonic)
    meter.start()
    thread = meter._thread
    assert meter.enough.wait(10.0), "the background thread did not poll"
    meter.shown = 3.0
    assert meter.stop().joules == 3.0
    assert thread is not None
    assert not thread.is_alive()


def test_no_poll_for_a_counter_that_never_wraps() -> None:
    meter = Counter(None)
    meter.start()
    assert meter.poll_seconds is None
    meter.step(5.0)
    assert meter.stop().joules == 5.0


@pytest.mark.usefixtures("fast_polls")
def test_a_failure_in_between_comes_out_at_the_end() -> None:
    meter = Counter(1e12, clock=time.monotonic)
    meter.start()
    meter.broken = True
    assert meter._thread is not None
    meter._thread.join(10.0)
    meter.broken = False
    with pytest.raises(UnreachableError, match="the counter is gone"):
        meter.stop()
    assert meter.opened == 0


def test_available_tells_why_not() -> None:
    meter = Counter(None)
    assert meter.available() == ""
    meter.broken = True
    assert meter.available() == "the counter is gone"
    assert meter.opened == 0


def test_wrong_order_is_refused() -> None:
    meter = Counter(None)
    with pytest.raises(ConfigError, match="not measuring"):
        meter.stop()
    meter.start()
    with pytest.raises(ConfigError, match="already measuring"):
        meter.start()
    meter.step(1.0)
    meter.stop()


def test_a_window_of_no_time_is_refused() -> None:
    meter = Counter(None)
    meter.start()
    with pytest.raises(DataError, match="needs some time"):
        meter.stop()


def test_time_is_uncertain_by_how_long_reading_takes() -> None:
    moments = iter([0.0, 0.2, 10.0, 10.4])
    meter = Counter(None, clock=lambda: next(moments))
    meter.start()
    meter.shown = 7.0
    reading = meter.stop()
    assert reading.seconds == pytest.approx(10.1), "from the middle of one reading to the middle of the other"
    assert reading.seconds_uncertainty == pytest.approx(((0.1**2 + 0.2**2) / 3) ** 0.5)
