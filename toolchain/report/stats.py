"""The statistics behind a verdict: how sure a median is, and whether one run is faster than another."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from profiles.measurement import Metric

Floats = NDArray[np.float64]
DRAWS = 4000
CONFIDENCE = 0.95
BATCHES = (20, 10, 5)
#: 97.5 % quantiles of Student's t with 1, 2, ... degrees of freedom.
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
FEWEST_SAMPLES = 8  # below, the percentile interval of a median covers far less than it says


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A speed-up with its 95 % interval; ``low`` and ``high`` are None where the spread is not known."""

    value: float
    low: float | None = None
    high: float | None = None


def bootstrap_medians(samples: Sequence[float], draws: int = DRAWS, seed: int = 0) -> Floats:
    """Medians of ``draws`` resamples with replacement, deterministic by ``seed``.

    Instead of resampling, the ranks that a resample's middle values have are drawn: sorted uniform
    variates are Beta distributed (David & Nagaraja 2003, section 2.3), and the next one above the
    m-th of n is the smallest of n - m uniforms over what remains. Same distribution as the
    bootstrap of Efron & Tibshirani 1993, chapter 6, at a cost that does not grow with n.
    """
    ordered: Floats = np.sort(np.asarray(samples, dtype=np.float64))
    n = len(ordered)
    rng = np.random.default_rng(seed)
    middle = (n + 1) // 2
    lower = rng.beta(middle, n - middle + 1, draws)
    ranks = np.minimum((lower * n).astype(int), n - 1)
    if n % 2:
        return np.asarray(ordered[ranks], dtype=np.float64)
    upper = lower + (1.0 - lower) * (1.0 - rng.random(draws) ** (1.0 / (n - middle)))
    neighbours = ordered[np.minimum((upper * n).astype(int), n - 1)]
    return np.asarray((ordered[ranks] + neighbours) / 2.0, dtype=np.float64)


def median_draws(samples: Sequence[float], seed: int = 0) -> Floats:
    """Bootstrap medians, widened where the run drifted.

    The bootstrap takes the samples for independent, but latencies come in waves. Medians of
    consecutive batches show how much the median really moves (method of batch means, Law 2015,
    section 9.5.3); where that is more than the bootstrap says, its draws are spread to match. As
    nobody knows how long the waves are, batches of several lengths are tried and the worst counts.
    """
    draws = bootstrap_medians(samples, seed=seed)
    if len(samples) < 4 * max(BATCHES):
        return draws
    moved, told = max(_movement(samples, count) for count in BATCHES), float(draws.std())
    if moved <= told:
        return draws
    middle = float(np.median(samples))
    if told > 0:
        return np.asarray(middle + (draws - middle) * (moved / told), dtype=np.float64)
    return np.random.default_rng(seed).normal(middle, moved, len(draws))


def _movement(samples: Sequence[float], count: int) -> float:
    """Standard error of the median as the medians of ``count`` consecutive batches tell it."""
    batches = np.array_split(np.asarray(samples, dtype=np.float64), count)
    return float(np.std([np.median(batch) for batch in batches], ddof=1)) / math.sqrt(count)


def speed_up(base: Metric, other: Metric) -> Ratio:
    """How many times faster ``other`` is than ``base``: the ratio of medians with its interval.

    From raw samples, in the order of the runs, by the percentile bootstrap (Efron & Tibshirani 1993,
    section 13.3; see :func:`median_draws`), else from standard uncertainties to first order (GUM,
    JCGM 100:2008, 5.1.2), else without an interval.

    Raises:
        ValueError: a figure that is missing or not positive.
    """
    if not base.value or not other.value or min(base.value, other.value) <= 0:
        raise ValueError("a speed-up needs two positive figures")
    value = base.value / other.value
    if min(len(base.samples or ()), len(other.samples or ())) >= FEWEST_SAMPLES:
        return Ratio(value, *_interval(median_draws(base.samples or (), 1), median_draws(other.samples or (), 2)))
    if base.uncertainty is not None and other.uncertainty is not None:
        spread = 1.96 * value * math.hypot(base.uncertainty / base.value, other.uncertainty / other.value)
        return Ratio(value, max(value - spread, 0.0), value + spread)
    return Ratio(value)


def widened(ratio: Ratio, rounds: Sequence[float]) -> Ratio:
    """The interval made to cover that of the mean of independent rounds' ratios, Student's t on their logarithms.

    Args:
        ratio: of pooled samples; stays as it is without an interval.
        rounds: the same ratio, round by round; fewer than three say nothing.
    """
    if ratio.low is None or ratio.high is None or len(rounds) < 3:
        return ratio
    logs = np.log(np.asarray(rounds, dtype=np.float64))
    quantile = T_975[min(len(logs) - 1, len(T_975)) - 1]
    reach = quantile * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    low, high = ratio.value * math.exp(-reach), ratio.value * math.exp(reach)
    return Ratio(ratio.value, min(ratio.low, low), max(ratio.high, high))


def _interval(base: Floats, other: Floats) -> tuple[float, float] | tuple[None, None]:
    if min(float(base.min()), float(other.min())) <= 0:
        return None, None
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(base / other, [tail, 100.0 - tail])
    return float(low), float(high)


def density(positions: Sequence[float], grid: Sequence[float]) -> Floats:
    """Gaussian kernel density of ``positions`` at ``grid`` (both in pixels), scaled to a peak of 1.

    Bandwidth after Silverman 1986, equation 3.31: robust against the heavy tail that latencies have.
    """
    values = np.asarray(positions, dtype=np.float64)
    points = np.asarray(grid, dtype=np.float64)
    heaps, weights = np.unique(np.round(values, 1), return_counts=True)  # a tenth of a pixel is invisible
    quartiles = np.percentile(values, [25, 75])
    spread = min(float(values.std()), float(quartiles[1] - quartiles[0]) / 1.34) or float(values.std())
    floor = float(points[-1] - points[0]) / 400.0  # a pixel or two: identical values are still a hill
    width = max(0.9 * spread * len(values) ** -0.2, floor)
    curve = np.exp(-0.5 * ((points[:, None] - heaps[None, :]) / width) ** 2) @ weights
    return np.asarray(curve / max(float(curve.max()), 1e-300), dtype=np.float64)
