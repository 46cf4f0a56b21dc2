"""A histogram of everything a tensor held, in constant memory, and the losses of clipping it.

Losses are for 8-bit affine quantization over a clipped range: real = scale * (q - zero_point), with a
zero point that is a whole number (Jacob et al. 2018, equation 1), so that 0.0 itself is always exact.
"""

from __future__ import annotations

import numpy as np

from profiles.runner import Array

BINS = 4096
LEVELS = 256
Range = tuple[float, float]


class Histogram:
    """Counts of all values seen, on a fixed number of bins that grow by merging pairs.

    The range starts at the first batch and doubles when a value falls outside, so memory is
    constant and every value is counted exactly once.

    Attributes:
        counts: per bin, shape (bins,); zeros are not among them.
        zeros: how many values were exactly 0.0: quantization never changes those.
        low, high: edges of the first and the last bin, in the tensor's real unit.
        seen_low, seen_high: the least and the greatest value.
    """

    def __init__(self, bins: int = BINS) -> None:
        self.counts = np.zeros(bins, dtype=np.int64)
        self.zeros = 0
        self.low = 0.0
        self.high = 0.0
        self.seen_low = np.inf
        self.seen_high = -np.inf

    @property
    def width(self) -> float:
        """Of one bin, in the tensor's real unit."""
        return (self.high - self.low) / len(self.counts)

    @property
    def total(self) -> int:
        """How many values were seen."""
        return int(self.counts.sum()) + self.zeros

    def add(self, values: Array) -> None:
        """Count all elements of ``values``, of any shape but not empty; they must be finite."""
        low, high = float(values.min()), float(values.max())
        if self.seen_low > self.seen_high:
            self._start(low, high)
        self.seen_low, self.seen_high = min(self.seen_low, low), max(self.seen_high, high)
        while low < self.low:
            self._double(downwards=True)
        while high > self.high:
            self._double(downwards=False)
        present = values[values != 0].astype(np.float64)
        self.zeros += values.size - present.size
        self.counts += np.bincount(self._bin(present), minlength=len(self.counts))

    def _start(self, low: float, high: float) -> None:
        magnitude = max(abs(low), abs(high))
        least = max(1e-6 * magnitude, 1e-200) if magnitude else 1e-12
        spare = max(least - (high - low), 0.0)
        self.low, self.high = low - spare / 2, high + spare / 2

    def _double(self, *, downwards: bool) -> None:
        bins = len(self.counts)
        merged = self.counts.reshape(bins // 2, 2).sum(axis=1)
        self.counts = np.zeros(bins, dtype=np.int64)
        span = self.high - self.low
        if downwards:
            self.counts[bins // 2 :] = merged
            self.low -= span
        else:
            self.counts[: bins // 2] = merged
            self.high += span

    def _bin(self, values: Array) -> Array:
        """Index of each value's bin; the last bin includes its upper edge."""
        index = ((values - self.low) / self.width).astype(np.intp)
        return np.clip(index, 0, len(self.counts) - 1, out=index)

    def edges(self) -> Array:
        """Of the bins, shape (bins + 1,)."""
        return np.linspace(self.low, self.high, len(self.counts) + 1)

    def counts_with_zeros(self) -> Array:
        """Counts of all values, shape (bins,)."""
        counts = self.counts.copy()
        if self.zeros:
            counts[self._bin(np.zeros(1))[0]] += self.zeros
        return counts


def affine(limits: Range) -> tuple[float, float]:
    """Scale and zero point of 8-bit quantization over ``limits``, which contain zero."""
    low, high = limits
    scale = (high - low) / (LEVELS - 1) or 1.0
    return scale, float(np.rint(-low / scale))


def squared_error(histogram: Histogram, limits: Range) -> float:
    """Sum of squared errors after quantization over ``limits``, in the real unit squared.

    Values are taken as spread evenly within their bin. The squared distance to the nearest level n
    then has the closed integral n / 12 + (x - n)^3 / 3, with x in units of the scale.
    """
    scale, zero_point = affine(limits)
    x = histogram.edges() / scale
    level = np.clip(np.rint(x), -zero_point, LEVELS - 1 - zero_point)
    integral = level / 12 + (x - level) ** 3 / 3
    return float(np.dot(histogram.counts, np.diff(integral)) * scale**3 / histogram.width)


def divergence(histogram: Histogram, limits: Range) -> float:
    """Kullback-Leibler divergence, in nats, of the clipped histogram from its version with 256 levels.

    After Migacz 2017: what is clipped counts for the outermost bins; a level's count is
    shared evenly by its bins that were not empty. Zeros stay out of it: they are exact at any scale,
    and with half of all values in one bin no other term would matter. Infinity where ``limits`` hold
    fewer bins than there are levels, because quantization then is finer than what is known.
    """
    edges = histogram.edges()
    first = int(np.searchsorted(edges, limits[0], side="left"))
    last = int(np.searchsorted(edges, limits[1], side="right")) - 1
    first, last = max(first - 1, 0), min(last + 1, len(histogram.counts))
    original = histogram.counts[first:last].astype(np.float64)
    if len(original) < LEVELS or not original.any():
        return float("inf")
    clipped = original.copy()
    clipped[0] += histogram.counts[:first].sum()
    clipped[-1] += histogram.counts[last:].sum()
    scale, zero_point = affine(limits)
    centres = (edges[first:last] + histogram.width / 2) / scale
    level = np.clip(np.rint(centres) + zero_point, 0, LEVELS - 1).astype(np.intp)
    return _kl(clipped / clipped.sum(), _coarse(original, level) / original.sum())


def _coarse(counts: Array, level: Array) -> Array:
    """Each level's total, shared evenly by those of its bins that are not empty."""
    occupied = counts > 0
    total = np.bincount(level, weights=counts)
    filled = np.bincount(level, weights=occupied)
    shared: Array = np.where(occupied, (total / np.maximum(filled, 1))[level], 0.0)
    return shared


def _kl(p: Array, q: Array) -> float:
    """Kullback-Leibler divergence in nats; bins where q is empty count against a floor of 1e-10."""
    used = p > 0
    return float(np.sum(p[used] * np.log(p[used] / np.maximum(q[used], 1e-10))))
