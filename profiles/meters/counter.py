"""Meters with a counter of joules that only ever rises: what they share.

A counter may wrap around at a known value. A poll in the background reads it often enough that it
cannot wrap twice unseen at a stated greatest power.
"""

from __future__ import annotations

import abc
import math
import threading
import time
from collections.abc import Callable, Mapping

from profiles.errors import ConfigError, DataError, EdgewrightError
from profiles.meters.base import EnergyReading, Resolution, reason

Clock = Callable[[], float]

#: Polls per wrap time at the greatest power; above 2, so that no wrap is missed, with room for a late poll.
POLLS_PER_WRAP = 4.0
#: Seconds between polls at most, so that a wrong guess of the greatest power shows early.
LONGEST_POLL = 60.0


def advance(before: float, after: float, modulus: float | None) -> float | None:
    """Joules from one reading to the next of a counter that wraps from ``modulus`` to 0.

    Returns None when a counter without wrap-around went backwards: it was reset.
    """
    if after >= before:
        return after - before
    return None if modulus is None else after - before + modulus


class CounterMeter(abc.ABC):
    """A meter that reads one or more cumulative counters.

    Subclasses give ``name``, ``covers`` (what is measured, in words), ``open``, ``close``, ``read``,
    ``moduli`` and ``resolution``.

    Args:
        max_watts: the greatest power that one counter can plausibly show.
        clock: monotonic seconds.
    """

    name = ""
    covers = ""

    def __init__(self, *, max_watts: float, clock: Clock = time.monotonic) -> None:
        self.max_watts = max_watts
        self._clock = clock
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: EdgewrightError | None = None
        self._last: dict[str, float] = {}
        self._moduli: Mapping[str, float | None] = {}
        self._total: dict[str, float] = {}
        self._read_at = self._started_at = 0.0
        self._halfwidth = 0.0
        self._steps = Resolution(0.0, "J", 0.0)

    @abc.abstractmethod
    def open(self) -> None:
        """Get ready to read. Raises an EdgewrightError that says why the meter cannot be used."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give back what ``open`` took."""

    @abc.abstractmethod
    def read(self) -> dict[str, float]:
        """Joules on every counter now."""

    @abc.abstractmethod
    def moduli(self) -> Mapping[str, float | None]:
        """Joules at which each counter wraps to 0; None for one that never does."""

    @property
    @abc.abstractmethod
    def resolution(self) -> Resolution:
        """The smallest step of all counters together."""

    def available(self) -> str:
        """Empty when the counters can be read, else why not."""
        try:
            self.open()
            try:
                self.read()
                self.moduli()
            finally:
                self.close()
        except EdgewrightError as error:
            return reason(error)
        return ""

    def start(self) -> None:
        """Read the counters and begin to poll them."""
        if self._thread is not None:
            raise ConfigError(f"the meter {self.name} is already measuring", next_step="stop it first")
        self.open()
        try:
            self._moduli, self._steps = self.moduli(), self.resolution
            self._last, self._started_at, self._halfwidth = self._timed_read()
        except EdgewrightError:
            self.close()
            raise
        self._read_at, self._error = self._started_at, None
        self._total = dict.fromkeys(self._last, 0.0)
        self._stop.clear()
        self._thread = threading.Thread(target=self._poll_until_stopped, name=f"meter-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> EnergyReading:
        """Read the counters a last time.

        Raises:
            DataError: a counter was reset, or may have wrapped more than once unseen.
            UnreachableError: the counter stopped answering.
        """
        if self._thread is None:
            raise ConfigError(f"the meter {self.name} is not measuring", next_step="start it first")
        self._stop.set()
        self._thread.join()
        self._thread = None
        try:
            if self._error is not None:
                raise self._error
            half = self.poll()
        finally:
            self.close()
        return self._reading(half)

    def poll(self) -> float:
        """Add what the counters gained since the last look; returns half the time that reading took."""
        with self._lock:
            now, at, half = self._timed_read()
            elapsed, self._read_at = at - self._read_at, at
            for key, joules in now.items():
                self._total[key] += self._gain(key, joules, elapsed)
            self._last = now
        return half

    @property
    def poll_seconds(self) -> float | None:
        """Seconds between polls, shorter than half the time of one wrap at ``max_watts``; None without wrap."""
        known = [modulus for modulus in self._moduli.values() if modulus is not None]
        return min(min(known) / self.max_watts / POLLS_PER_WRAP, LONGEST_POLL) if known else None

    def _gain(self, key: str, joules: float, elapsed: float) -> float:
        modulus, last = self._moduli[key], self._last[key]
        gain = advance(last, joules, modulus)
        if modulus is not None and elapsed * self.max_watts >= modulus:
            raise DataError(
                f"the energy counter {key} may have wrapped more than once between two readings",
                seen=f"{elapsed:.1f} s apart",
                allowed=f"less than {modulus / self.max_watts:.1f} s at {self.max_watts:g} W",
                next_step="measure again; did the machine sleep?",
            )
        ceiling = self.max_watts * (elapsed + 2 * self._steps.interval) + self._steps.value
        if gain is None or (joules < last and gain > ceiling):
            raise DataError(
                f"the energy counter {key} was reset while it was being measured",
                seen=f"{last:.6f} J, then {joules:.6f} J after {elapsed:.3f} s",
                next_step="measure again; was the driver reloaded, or does another program write to the counter?",
            )
        return gain

    def _timed_read(self) -> tuple[dict[str, float], float, float]:
        before = self._clock()
        values = self.read()
        after = self._clock()
        return values, (before + after) / 2, (after - before) / 2

    def _poll_until_stopped(self) -> None:
        while not self._stop.wait(self.poll_seconds):
            try:
                self.poll()
            except EdgewrightError as error:
                self._error = error
                return

    def _reading(self, halfwidth: float) -> EnergyReading:
        seconds = self._read_at - self._started_at
        if seconds <= 0:
            raise DataError("an energy window needs some time", seen=f"{seconds} s")
        joules = sum(self._total.values())
        return EnergyReading(
            joules,
            seconds,
            self._steps.uncertainty(joules / seconds, seconds),
            self.covers,
            # each end lies somewhere in the time that its reading took: rectangular (GUM, 4.3.7)
            math.hypot(self._halfwidth, halfwidth) / math.sqrt(3),
            dict(self._total),
        )
