"""A counter of joules with a second instrument beside it that samples power over the same time."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Protocol

from profiles.errors import EdgewrightError
from profiles.meters.base import EnergyReading, Meter, Resolution, reason
from profiles.meters.cross_check import cross_check
from profiles.meters.sampled import Clock


class LaggingMeter(Meter, Protocol):
    """A sampler that says by how many seconds its figures may be behind."""

    @property
    def lag(self) -> float:
        """Seconds."""
        ...


class CheckedMeter:
    """The counter's figure, with what the sampler says of it in the method.

    The sampler begins before the counter and ends after it, and its samples are cut to the counter's window. Where it
    cannot be read, the method says so; the figure is the counter's in any case.

    Args:
        counter: gives the figure.
        sampler: gives the check.
        clock: monotonic seconds, the one that both read.
    """

    def __init__(self, counter: Meter, sampler: LaggingMeter, *, clock: Clock = time.monotonic) -> None:
        self._counter = counter
        self._sampler = sampler
        self._clock = clock
        self._begins = 0.0
        self._why_not = ""

    @property
    def name(self) -> str:
        """The counter's."""
        return self._counter.name

    @property
    def resolution(self) -> Resolution:
        """The counter's."""
        return self._counter.resolution

    def available(self) -> str:
        """Empty when the counter can be read, else why not."""
        return self._counter.available()

    def start(self) -> None:
        """Begin to sample, then begin to count."""
        self._why_not = _why_not(self._sampler.start)
        began = self._clock()  # both take their first look at the end of their start
        try:
            self._counter.start()
        except BaseException:
            if not self._why_not:
                _why_not(self._sampler.stop)
            raise
        self._begins = self._clock() - began

    def stop(self) -> EnergyReading:
        """End counting, then end sampling.

        Raises:
            EdgewrightError: the counter failed, not the sampler.
        """
        try:
            reading = self._counter.stop()
        except BaseException:
            if not self._why_not:
                _why_not(self._sampler.stop)
            raise
        if self._why_not:
            return _noted(reading, f"not checked: {self._why_not}")
        try:
            sampled = self._sampler.stop()
        except EdgewrightError as error:
            return _noted(reading, f"not checked: {reason(error)}")
        found = cross_check(reading, sampled, begins=self._begins, lag=self._sampler.lag)
        return _noted(reading, found.sentence if math.isfinite(found.margin) else "not checked: nothing was counted")


def _why_not(act: Callable[[], object]) -> str:
    try:
        act()
    except EdgewrightError as error:
        return reason(error)
    return ""


def _noted(reading: EnergyReading, note: str) -> EnergyReading:
    return dataclasses.replace(reading, method=f"{reading.method}; {note}")
