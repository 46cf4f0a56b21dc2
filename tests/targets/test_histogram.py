"""The histogram against the values themselves, and its losses against plain loops and raw values."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from targets.histogram import LEVELS, Histogram, affine, divergence, squared_error

DTYPES = st.sampled_from([np.float16, np.float32, np.float64])


@st.composite
def batches(draw):
    """Up to five batches of very different magnitudes, as activations of one tensor over samples."""
    found = []
    for _ in range(draw(st.integers(1, 5))):
        dtype = draw(DTYPES)
        bound = 1e4 if dtype is np.float16 else 1e30
        magnitude = draw(st.sampled_from([1e-30, 1e-3, 1.0, bound]))
        elements = st.floats(-1, 1, width=16) | st.just(0.0)
        shape = draw(hnp.array_shapes(max_dims=3, max_side=6))
        found.append((draw(hnp.arrays(np.float64, shape, elements=elements)) * magnitude).astype(dtype))
    return found


def filled(values, bins=4096):
    histogram = Histogram(bins)
    for batch in values:
        histogram.add(batch)
    return histogram


@given(batches())
def test_every_value_is_counted_exactly_once(values):
    histogram = filled(values)
    everything = np.concatenate([batch.ravel().astype(np.float64) for batch in values])
    assert histogram.total == everything.size
    assert histogram.counts_with_zeros().sum() == everything.size
    assert histogram.zeros == np.count_nonzero(everything == 0)
    assert (histogram.seen_low, histogram.seen_high) == (everything.min(), everything.max())
    assert histogram.low <= everything.min() <= everything.max() <= histogram.high


@given(batches(), st.sampled_from([2, 8, 256, 4096]))
def test_values_stay_in_their_bins_however_the_range_grew(values, bins):
    """At each edge, as many values lie below as the histogram says; rounding may move an edge by a hair."""
    histogram = filled(values, bins)
    everything = np.sort(np.concatenate([batch.ravel().astype(np.float64) for batch in values]))
    below = np.cumsum(histogram.counts_with_zeros())
    hair = 1e-6 * histogram.width
    edges = histogram.edges()[1:]
    assert np.all(below >= np.searchsorted(everything, edges - hair, side="left"))
    assert np.all(below <= np.searchsorted(everything, edges + hair, side="right"))


@given(batches())
def test_the_range_is_not_wasted(values):
    """However it grew, a quarter of the bins covers what was seen (or the least width a histogram has)."""
    histogram = filled(values)
    span = histogram.high - histogram.low
    magnitude = max(abs(histogram.seen_low), abs(histogram.seen_high))
    needed = max(histogram.seen_high - histogram.seen_low, 1e-6 * magnitude, 1e-12)
    assert span <= 4 * needed * (1 + 1e-9)


@given(st.floats(-100, 0), st.floats(0, 100))
def test_affine_covers_its_limits_and_hits_zero(low, high):
    scale, zero_point = affine((low, high))
    assert scale > 0
    assert zero_point == round(zero_point)
    assert 0 <= zero_point <= LEVELS - 1
    if high - low > 1e-300:
        assert scale == pytest.approx((high - low) / 255)
        assert -zero_point * scale == pytest.approx(low, abs=scale / 2 * 1.0001)


def _raw_error(values, limits):
    """Quantize every value, no histogram involved."""
    scale = (limits[1] - limits[0]) / 255
    zero_point = np.round(-limits[0] / scale)
    quantized = (np.clip(np.round(values / scale) + zero_point, 0, 255) - zero_point) * scale
    return float(np.sum((values - quantized) ** 2))


@pytest.mark.parametrize("limits", [(-4.0, 4.0), (-1.0, 3.0), (-0.2, 0.1), (0.0, 2.0), (-6.0, 6.0), (-20.0, 20.0)])
@pytest.mark.parametrize("shape", ["normal", "half zeros", "uniform"])
def test_squared_error_equals_that_of_the_raw_values(limits, shape):
    random = np.random.default_rng(3)
    values = random.uniform(-5, 5, 200_000) if shape == "uniform" else random.normal(size=200_000)
    values = np.maximum(values, 0) if shape == "half zeros" else values
    histogram = filled(np.array_split(values, 4))
    assert squared_error(histogram, limits) == pytest.approx(_raw_error(values, limits), rel=0.02)


def _loops(histogram, limits):
    """Migacz's procedure in plain Python, straight from its description."""
    low, high = limits
    scale = (high - low) / 255
    zero_point = round(-low / scale)
    bins = [
        (histogram.low + i * histogram.width, histogram.low + (i + 1) * histogram.width, int(count))
        for i, count in enumerate(histogram.counts)
    ]
    inside = [(left, right, count) for left, right, count in bins if right >= low and left <= high]
    reference = [count for _, _, count in inside]
    levels = {}
    for index, (left, right, count) in enumerate(inside):
        level = min(max(round((left + right) / 2 / scale) + zero_point, 0), 255)
        levels.setdefault(level, []).append((index, count))
    model = [0.0] * len(inside)
    for members in levels.values():
        occupied = [index for index, count in members if count]
        for index in occupied:
            model[index] = sum(count for _, count in members) / len(occupied)
    reference[0] += sum(count for _, right, count in bins if right < low)
    reference[-1] += sum(count for left, _, count in bins if left > high)
    total, model_total, loss = sum(reference), sum(model), 0.0
    for count, modelled in zip(reference, model, strict=True):
        if count:
            loss += count / total * math.log((count / total) / max(modelled / model_total, 1e-10))
    return loss


@pytest.mark.parametrize("seed", range(8))
def test_divergence_equals_plain_loops(seed):
    random = np.random.default_rng(seed)
    values = random.normal(random.uniform(-1, 1), 1, 3000)
    values[: random.integers(1, 50)] *= random.uniform(1, 6)
    histogram = filled([values], bins=1024)
    for share in (1.0, 0.83, 0.61, 0.47):
        limits = (share * min(values.min(), 0.0), share * max(values.max(), 0.0))
        assert divergence(histogram, limits) == pytest.approx(_loops(histogram, limits), rel=1e-9, abs=1e-12)


def test_divergence_does_not_judge_what_it_cannot_see():
    histogram = filled([np.linspace(-1, 1, 10_000)], bins=1024)
    assert math.isfinite(divergence(histogram, (-0.5, 0.5)))
    assert divergence(histogram, (-0.1, 0.1)) == math.inf, "103 bins cannot say how 256 levels do"
