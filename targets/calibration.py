"""Calibration: from activations seen on sample inputs to the range each tensor is quantized with.

Four calibrators, shared by all backends. Each watches one tensor over all samples and ends with a
real range ``(low, high)``; the backend turns it into scale and zero point in its own dialect.

- ``minmax``: everything seen (Krishnamoorthi 2018, section 3.1.1).
- ``percentile``: the two-sided percentile of the values seen (Wu et al. 2020, section 3.2).
- ``entropy``: the clipping that loses least information, by Kullback-Leibler divergence between the
  values' histogram and its quantized version (Migacz 2017, GTC S7310).
- ``mse``: the clipping with the least mean squared quantization error (Banner et al. 2019,
  section 3), minimised on the histogram.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from profiles.errors import ConfigError, DataError
from profiles.runner import Array, Arrays
from profiles.suggest import did_you_mean

BINS = 2048
LEVELS = 256
Range = tuple[float, float]


class Histogram:
    """Counts of all values seen, on a fixed number of bins that grows by merging pairs.

    The range starts at the first batch and doubles when a value falls outside, so memory is
    constant and every value is counted exactly once.
    """

    def __init__(self, bins: int = BINS) -> None:
        self.counts = np.zeros(bins, dtype=np.int64)
        self.low = 0.0
        self.high = 0.0
        self.seen_low = np.inf
        self.seen_high = -np.inf

    @property
    def width(self) -> float:
        """Of one bin, in the tensor's real unit."""
        return (self.high - self.low) / len(self.counts)

    def add(self, values: Array) -> None:
        """Count all elements of ``values``, of any shape; they must be finite."""
        low, high = float(values.min()), float(values.max())
        if self.seen_low > self.seen_high:
            middle, half = (low + high) / 2, max((high - low) / 2, 1e-12, abs(low) * 1e-6, abs(high) * 1e-6)
            self.low, self.high = middle - half, middle + half
        self.seen_low, self.seen_high = min(self.seen_low, low), max(self.seen_high, high)
        while low < self.low:
            self._double(downwards=True)
        while high > self.high:
            self._double(downwards=False)
        counts, _ = np.histogram(values, bins=len(self.counts), range=(self.low, self.high))
        self.counts += counts

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

    def centres(self) -> Array:
        """Middle of each bin, shape (bins,)."""
        return self.low + (np.arange(len(self.counts)) + 0.5) * self.width


def minmax_range(histogram: Histogram, percentile: float = 100.0) -> Range:
    """Everything that was seen."""
    return histogram.seen_low, histogram.seen_high


def percentile_range(histogram: Histogram, percentile: float = 99.99) -> Range:
    """The range that holds ``percentile`` percent of the values, the rest cut evenly at both ends."""
    tail = (1 - percentile / 100) / 2
    share = np.cumsum(histogram.counts) / histogram.counts.sum()
    first = int(np.searchsorted(share, tail, side="right"))
    last = int(np.searchsorted(share, 1 - tail, side="left"))
    low = histogram.low + first * histogram.width
    high = histogram.low + (min(last, len(histogram.counts) - 1) + 1) * histogram.width
    return max(low, histogram.seen_low), min(high, histogram.seen_high)


def entropy_range(histogram: Histogram, percentile: float = 100.0) -> Range:
    """The clipping with the least Kullback-Leibler divergence from the histogram."""
    return _best_clipping(histogram, _divergence)


def mse_range(histogram: Histogram, percentile: float = 100.0) -> Range:
    """The clipping with the least mean squared quantization error."""
    return _best_clipping(histogram, _squared_error)


def _best_clipping(histogram: Histogram, loss: Callable[[Histogram, Range], float]) -> Range:
    """Shrink the seen range towards zero in 128 steps and keep the best; zero always stays inside."""
    low, high = min(histogram.seen_low, 0.0), max(histogram.seen_high, 0.0)
    candidates = [(low * share, high * share) for share in np.linspace(1.0, 0.05, 128)]
    return min(candidates, key=lambda candidate: loss(histogram, candidate))


def _quantized(values: Array, limits: Range) -> Array:
    """Values after an 8-bit affine round trip over ``limits`` (Jacob et al. 2018, equation 1)."""
    low, high = limits
    scale = (high - low) / (LEVELS - 1) or 1.0
    zero_point = np.round(-low / scale)
    steps = np.clip(np.round(values / scale) + zero_point, 0, LEVELS - 1)
    return (steps - zero_point) * scale


def _squared_error(histogram: Histogram, limits: Range) -> float:
    centres = histogram.centres()
    return float(np.sum(histogram.counts * (centres - _quantized(centres, limits)) ** 2))


def _divergence(histogram: Histogram, limits: Range) -> float:
    """KL divergence of the clipped histogram from its version with 256 levels (Migacz 2017)."""
    centres = histogram.centres()
    inside = (centres >= limits[0]) & (centres <= limits[1])
    clipped = histogram.counts[inside].astype(np.float64)
    if not clipped.sum():
        return float("inf")
    clipped[0] += histogram.counts[centres < limits[0]].sum()
    clipped[-1] += histogram.counts[centres > limits[1]].sum()
    level = np.unique(_quantized(centres[inside], limits), return_inverse=True)[1]
    original = histogram.counts[inside].astype(np.float64)
    occupied = original > 0
    total = np.bincount(level, weights=original)
    filled = np.bincount(level, weights=occupied)
    spread = np.where(occupied, (total / np.maximum(filled, 1))[level], 0.0)
    return _kl(clipped / clipped.sum(), spread / max(spread.sum(), 1e-300))


def _kl(p: Array, q: Array) -> float:
    """Kullback-Leibler divergence in nats; bins where q is empty count against a floor of 1e-10."""
    used = p > 0
    return float(np.sum(p[used] * np.log(p[used] / np.maximum(q[used], 1e-10))))


CALIBRATORS: Mapping[str, Callable[[Histogram, float], Range]] = {
    "minmax": minmax_range,
    "percentile": percentile_range,
    "entropy": entropy_range,
    "mse": mse_range,
}


def observe(samples: Iterable[Mapping[str, Array]]) -> dict[str, Histogram]:
    """One histogram per tensor over all samples.

    Raises:
        DataError: no sample, or a tensor with NaN or infinity.
    """
    histograms: dict[str, Histogram] = {}
    for index, tensors in enumerate(samples):
        for name, values in tensors.items():
            if not values.size or not np.issubdtype(values.dtype, np.floating):
                continue
            _check_finite(values, name, index)
            histograms.setdefault(name, Histogram()).add(values)
    if not histograms:
        raise DataError("calibration needs at least one sample", seen="none", next_step="set [data] calibration = 64")
    return histograms


def ranges(histograms: Mapping[str, Histogram], calibrator: str, percentile: float = 99.99) -> dict[str, Range]:
    """The range of every tensor by one of :data:`CALIBRATORS`."""
    if calibrator not in CALIBRATORS:
        raise ConfigError(
            "unknown calibrator",
            seen=repr(calibrator),
            allowed=", ".join(CALIBRATORS),
            next_step=did_you_mean(calibrator, CALIBRATORS),
        )
    return {name: CALIBRATORS[calibrator](histogram, percentile) for name, histogram in histograms.items()}


def _check_finite(values: Array, name: str, index: int) -> None:
    if not np.isfinite(values).all():
        bad = "NaN" if np.isnan(values).any() else "infinity"
        raise DataError(
            "calibration needs finite activations",
            seen=f"{bad} in tensor '{name}' on sample {index}",
            next_step="look for broken inputs or for an overflow in the model at this tensor",
        )


def check_samples(samples: Iterable[Arrays], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse calibration inputs of the wrong name, shape, or with NaN, before any engine sees them."""
    count = 0
    for index, sample in enumerate(samples):
        count += 1
        for name, shape in shapes.items():
            seen: Any = sample.get(name)
            if seen is None or tuple(seen.shape) != shape:
                raise DataError(
                    f"calibration sample {index} needs input '{name}' of shape {list(shape)}",
                    seen="no such input" if seen is None else f"shape {list(seen.shape)}",
                )
            if np.issubdtype(seen.dtype, np.floating):
                _check_finite(seen, name, index)
    if not count:
        raise DataError("calibration needs at least one sample", seen="none", next_step="set [data] calibration = 64")
