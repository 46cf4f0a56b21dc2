"""Calibration: from activations seen on sample inputs to the range each tensor is quantized with.

Four calibrators, shared by all backends. Each watches one tensor over all samples and ends with a
real range ``(low, high)``; the backend turns it into scale and zero point in its own dialect.

- ``minmax``: everything seen (Krishnamoorthi 2018, section 3.1.1).
- ``percentile``: the two-sided percentile of the values seen (Wu et al. 2020, section 3.2).
- ``entropy``: the clipping that loses least information, by Kullback-Leibler divergence between the
  values' histogram and its quantized version (Migacz 2017, GTC S7310).
- ``mse``: the clipping with the least mean squared quantization error (Banner et al. 2019,
  section 3), minimised on the histogram.

The last two keep zero inside, as any affine quantization must; the first two give what was seen, which
may be a single value or lie on one side of zero. The losses are in ``targets/histogram.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from profiles.errors import ConfigError, DataError
from profiles.runner import Array, Arrays
from profiles.suggest import did_you_mean
from targets.histogram import Histogram, Range, divergence, squared_error

Loss = Callable[[Histogram, Range], float]

#: Shares of the seen range that are tried: finely near the whole, down to an outlier 64 times the rest.
_SHARES = np.concatenate([np.linspace(1.0, 0.5, 40, endpoint=False), np.geomspace(0.5, 1 / 64, 40)])


def minmax_range(histogram: Histogram, percentile: float = 100.0) -> Range:
    """Everything that was seen."""
    return histogram.seen_low, histogram.seen_high


def percentile_range(histogram: Histogram, percentile: float = 99.99) -> Range:
    """The range that holds ``percentile`` percent of the values, the rest cut evenly at both ends."""
    tail = (1 - percentile / 100) / 2 * histogram.total
    below = np.cumsum(histogram.counts_with_zeros())
    first = int(np.searchsorted(below, tail, side="right"))
    last = int(np.searchsorted(below, histogram.total - tail, side="left"))
    edges = histogram.edges()
    return max(float(edges[first]), histogram.seen_low), min(float(edges[last + 1]), histogram.seen_high)


def entropy_range(histogram: Histogram, percentile: float = 100.0) -> Range:
    """The clipping with the least Kullback-Leibler divergence from the histogram."""
    return _best_clipping(histogram, divergence)


def mse_range(histogram: Histogram, percentile: float = 100.0) -> Range:
    """The clipping with the least mean squared quantization error."""
    return _best_clipping(histogram, squared_error)


def _best_clipping(histogram: Histogram, loss: Loss) -> Range:
    """Clip by magnitude first, then move each end alone; zero always stays inside, the widest wins a draw."""
    low, high = min(histogram.seen_low, 0.0), max(histogram.seen_high, 0.0)
    reach = max(-low, high)
    best = _least(histogram, loss, [(max(low, -reach * share), min(high, reach * share)) for share in _SHARES])
    best = _least(histogram, loss, [(low * share, best[1]) for share in _SHARES] + [best])
    return _least(histogram, loss, [(best[0], high * share) for share in _SHARES] + [best])


def _least(histogram: Histogram, loss: Loss, candidates: Iterable[Range]) -> Range:
    low, high = min(candidates, key=lambda candidate: loss(histogram, candidate))
    return float(low), float(high)


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
    """The range of every tensor by one of :data:`CALIBRATORS`.

    Raises:
        ConfigError: no such calibrator, or a percentile that leaves nothing.
    """
    if calibrator not in CALIBRATORS:
        raise ConfigError(
            "unknown calibrator",
            seen=repr(calibrator),
            allowed=", ".join(CALIBRATORS),
            next_step=did_you_mean(calibrator, CALIBRATORS),
        )
    if not 50 < percentile <= 100:
        raise ConfigError(
            "a percentile calibrator needs a percentile", seen=f"{percentile:g}", allowed="above 50, at most 100"
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
