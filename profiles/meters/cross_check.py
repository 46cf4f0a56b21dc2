"""Whether two instruments agree on one stretch of time: a counter of joules and sampled power."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from profiles.meters.base import EnergyReading
from profiles.meters.sampled import trapezoid
from profiles.units import format_quantity

#: Relative difference up to which two instruments agree.
ALLOWED = 0.05
Samples = Sequence[tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class CrossCheck:
    """What two instruments say of the same stretch of time.

    Attributes:
        counted, integrated: mean watts by the counter, and by the samples within the counter's window.
        deviation: of the integrated power from the counted one, relative.
        margin: relative, what the ends of the window leave open (twice the standard uncertainty): when exactly the
            counter was updated, and by how much the sensor lags behind.
        aligned: seconds by which the sampler's window began before the counter's.
    """

    counted: float
    integrated: float
    deviation: float
    margin: float
    aligned: float

    @property
    def agrees(self) -> bool | None:
        """Whether both agree within :data:`ALLOWED`; None where the window is too short to tell."""
        if self.margin > ALLOWED:
            return None
        return abs(self.deviation) <= ALLOWED

    @property
    def sentence(self) -> str:
        """For the method of a figure."""
        powers = f"{format_quantity(self.counted, 'W')} counted, {format_quantity(self.integrated, 'W')} integrated"
        if self.agrees is None:
            return f"sampled power cannot check it: the window's ends leave {self.margin:.0%} open ({powers})"
        verdict = "agrees" if self.agrees else f"DISAGREES (allowed {ALLOWED:.0%})"
        return f"sampled power over the same window {verdict}: {self.deviation:+.1%} ({powers})"


def cross_check(counter: EnergyReading, integrated: EnergyReading, *, begins: float = 0.0, lag: float) -> CrossCheck:
    """Compare a counter's reading with the integral of power sampled around it.

    The samples are cut to the counter's own window, with straight lines between them; where they do not reach as far,
    the mean power of those that there are stands for the rest.

    Args:
        counter: of the counter.
        integrated: of the sampler; its samples cover the counter's window.
        begins: seconds from the first sample to the counter's start.
        lag: seconds by which the sensor may be behind.
    """
    joules, seconds = integrate(integrated.samples, begins, begins + counter.seconds)
    power = joules / seconds
    watts = [value for _, value in integrated.samples]
    # each end lags by up to `lag` seconds of what the power changes by: rectangular, so triangular for both together
    ends = lag * (max(watts) - min(watts)) / math.sqrt(6)
    margin = 2 * math.hypot(counter.uncertainty, ends) / counter.joules if counter.joules else math.inf
    deviation = power / counter.watts - 1 if counter.joules else math.inf
    return CrossCheck(counter.watts, power, deviation, margin, begins)


def integrate(samples: Samples, start: float, end: float) -> tuple[float, float]:
    """Joules under straight lines between samples, and seconds, from ``start`` to ``end`` as far as they reach."""
    times, watts = (np.array(column, dtype=np.float64) for column in zip(*samples, strict=True))
    start, end = max(start, float(times[0])), min(end, float(times[-1]))
    if end <= start:
        return float(np.mean(watts)), 1.0
    inner = (times > start) & (times < end)
    cut = np.concatenate(([start], times[inner], [end]))
    return trapezoid(cut, np.interp(cut, times, watts)), end - start
