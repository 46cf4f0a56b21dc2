"""Meters that show power: a background thread samples it and the trapezoid rule makes joules of it."""

from __future__ import annotations

import abc
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from profiles.errors import ConfigError, DataError, EdgewrightError
from profiles.meters.base import EnergyReading, Resolution, reason

Clock = Callable[[], float]


Values: TypeAlias = "Sequence[float] | np.ndarray[Any, np.dtype[np.float64]]"


def trapezoid(times: Values, watts: Values) -> float:
    """Joules under straight lines between the samples; ``times`` in seconds, rising."""
    power = np.asarray(watts)
    return float(np.sum(np.diff(times) * (power[1:] + power[:-1])) / 2)


def sampling_uncertainty(watts: Values, seconds: float, resolution: Resolution) -> float:
    """Standard uncertainty in joules of sampled power.

    Two parts in quadrature: the resolution, and the scatter of the mean, ``s / sqrt(n)`` (GUM, 4.2.3),
    times the seconds. Power that truly changes counts as scatter, so that this errs on the large side.
    """
    scatter = float(np.std(watts, ddof=1)) / math.sqrt(len(watts)) * seconds if len(watts) > 1 else 0.0
    return math.hypot(scatter, resolution.uncertainty(0.0, seconds))


class SampledMeter(abc.ABC):
    """A meter that shows power on one or more rails.

    Subclasses give ``name``, ``covers`` (what is measured, in words), ``open``, ``watts`` and ``resolution``.

    Args:
        interval: seconds between samples.
        clock: monotonic seconds.
    """

    name = ""
    covers = ""

    def __init__(self, *, interval: float, clock: Clock = time.monotonic) -> None:
        self.interval = interval
        self._clock = clock
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: EdgewrightError | None = None
        self._samples: list[tuple[float, float, Mapping[str, float]]] = []

    @abc.abstractmethod
    def open(self) -> None:
        """Get ready to read. Raises an EdgewrightError that says why the meter cannot be used."""

    @abc.abstractmethod
    def watts(self) -> dict[str, float]:
        """Power of every rail that counts, now."""

    @property
    @abc.abstractmethod
    def resolution(self) -> Resolution:
        """The smallest step of the sum of all rails."""

    def available(self) -> str:
        """Empty when all rails can be read, else why not."""
        try:
            self.open()
            self.watts()
        except EdgewrightError as error:
            return reason(error)
        return ""

    def start(self) -> None:
        """Take the first sample and begin to take more."""
        if self._thread is not None:
            raise ConfigError(f"the meter {self.name} is already measuring", next_step="stop it first")
        self.open()
        self._samples, self._error = [], None
        self.sample()
        self._stop.clear()
        self._thread = threading.Thread(target=self._sample_until_stopped, name=f"meter-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> EnergyReading:
        """Take the last sample and integrate.

        Raises:
            UnreachableError: the sensor stopped answering in between.
        """
        if self._thread is None:
            raise ConfigError(f"the meter {self.name} is not measuring", next_step="start it first")
        self._stop.set()
        self._thread.join()
        self._thread = None
        if self._error is not None:
            raise self._error
        self.sample()
        return self._reading()

    def sample(self) -> None:
        """Read all rails once; the sample's time is the middle of the reading."""
        before = self._clock()
        watts = self.watts()
        after = self._clock()
        self._samples.append(((before + after) / 2, (after - before) / 2, watts))

    def _sample_until_stopped(self) -> None:
        while not self._stop.wait(self.interval):
            try:
                self.sample()
            except EdgewrightError as error:
                self._error = error
                return

    def _reading(self) -> EnergyReading:
        times = [at for at, _, _ in self._samples]
        seconds = times[-1] - times[0]
        if seconds <= 0:
            raise DataError("an energy window needs some time", seen=f"{seconds} s")
        rails = {rail: trapezoid(times, [watts[rail] for _, _, watts in self._samples]) for rail in self._samples[0][2]}
        total = [sum(watts.values()) for _, _, watts in self._samples]
        return EnergyReading(
            sum(rails.values()),
            seconds,
            sampling_uncertainty(total, seconds, self.resolution),
            f"{self.covers}, {len(total)} samples, trapezoid rule",
            # each end lies somewhere in the time that its sample took: rectangular (GUM, 4.3.7)
            math.sqrt((self._samples[0][1] ** 2 + self._samples[-1][1] ** 2) / 3),
            rails,
            tuple((at - times[0], power) for at, power in zip(times, total, strict=True)),
        )
