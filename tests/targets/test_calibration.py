"""Calibrators against brute force on the raw values, and on cases whose answer is known."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from profiles.errors import ConfigError, DataError
from targets.calibration import CALIBRATORS, check_samples, observe, ranges
from targets.histogram import divergence

VALUES = hnp.arrays(np.float64, st.integers(1, 300), elements=st.floats(-1e3, 1e3, width=32))


def seen(*batches):
    return observe({"x": np.asarray(batch)} for batch in batches)


def calibrated(name, *batches, percentile=99.99):
    return ranges(seen(*batches), name, percentile)["x"]


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_minmax_is_exact(batches):
    everything = np.concatenate(batches)
    assert calibrated("minmax", *batches) == (everything.min(), everything.max())


@given(st.lists(VALUES, min_size=1, max_size=4), st.floats(50.1, 100))
def test_percentile_follows_its_definition_within_a_bin(batches, percentile):
    """Low is the least value with more than the tail at or below it; high mirrors it."""
    everything = np.sort(np.concatenate(batches))
    histogram = seen(*batches)["x"]
    low, high = ranges({"x": histogram}, "percentile", percentile)["x"]
    tail = (1 - percentile / 100) / 2 * everything.size
    wanted_low = everything[int(np.floor(tail + 1e-9))]
    wanted_high = everything[int(np.ceil(everything.size - tail - 1e-9)) - 1]
    hair = 1e-6 * histogram.width
    assert everything[0] <= low <= wanted_low + hair <= low + histogram.width + 2 * hair
    assert high - histogram.width - 2 * hair <= wanted_high - hair <= high <= everything[-1]


@pytest.mark.parametrize("percentile", [90.0, 99.0, 99.9, 99.99, 100.0])
@pytest.mark.parametrize("shape", ["normal", "exponential", "uniform"])
def test_percentile_agrees_with_numpy(percentile, shape):
    values = getattr(np.random.default_rng(5), shape)(size=100_000)
    histogram = seen(*np.array_split(values, 3))["x"]
    low, high = ranges({"x": histogram}, "percentile", percentile)["x"]
    tail = (100 - percentile) / 2
    ordered = np.sort(values)
    for bound, position in ((low, tail), (high, 100 - tail)):
        wanted = np.percentile(values, position)
        near = np.searchsorted(ordered, wanted)
        gap = np.diff(ordered[max(near - 2, 0) : near + 2]).max(initial=0.0)
        assert abs(bound - wanted) <= histogram.width + gap, f"percentile {position} is {wanted}, got {bound}"


def raw_error(values, limits):
    scale = (limits[1] - limits[0]) / 255
    zero_point = np.round(-limits[0] / scale)
    quantized = (np.clip(np.round(values / scale) + zero_point, 0, 255) - zero_point) * scale
    return float(np.mean((values - quantized) ** 2))


def shapes():
    random = np.random.default_rng(11)
    normal = random.normal(size=4000)
    outlier = normal.copy()
    outlier[0] = 14.0
    lopsided = np.abs(random.normal(size=4000))
    lopsided[0] = -9.0
    return {
        "normal": normal,
        "one outlier": outlier,
        "positive, one negative outlier": lopsided,
        "laplace": random.laplace(size=4000),
        "relu": np.maximum(normal, 0),
        "hard swish": 3 * normal * np.clip(3 * normal + 3, 0, 6) / 6,
        "uniform": random.uniform(-2, 1, 4000),
        "away from zero": random.uniform(5, 6, 4000),
        "two lumps": np.concatenate([random.normal(-3, 0.1, 2000), random.normal(8, 0.1, 2000)]),
        "few": random.normal(size=10),
    }


@pytest.mark.parametrize("name", shapes())
@pytest.mark.parametrize("first", ["all at once", "a little first"])
def test_mse_is_as_good_as_an_exhaustive_search_on_the_raw_values(name, first):
    values = shapes()[name]
    batches = [values] if first == "all at once" else [values[:1] * 0.01, values]
    found = calibrated("mse", *batches)
    everything = np.concatenate(batches)
    low, high = min(everything.min(), 0.0), max(everything.max(), 0.0)
    grid = itertools.product(np.linspace(1, 0.02, 50), repeat=2)
    tried = {(low * a, high * b) for a, b in grid}
    best = min(raw_error(everything, limits) for limits in tried)
    assert raw_error(everything, found) <= best * 1.03, f"{found} is worse than the best of {len(tried)} clippings"


@pytest.mark.parametrize("calibrator", ["mse", "entropy"])
def test_each_end_is_clipped_on_its_own(calibrator):
    """One outlier that is no larger than the bulk, but on the other side of zero."""
    values = np.abs(np.random.default_rng(8).normal(size=400_000))
    values[0] = -3.9
    low, high = calibrated(calibrator, *np.array_split(values, 4))
    best = min(raw_error(values, (-3.9 * share, high)) for share in np.linspace(1, 0.05, 20))
    assert raw_error(values, (low, high)) <= best * (1.03 if calibrator == "mse" else 2.0)
    assert low > -2.5, "clipping by magnitude alone cannot spare the bulk and drop the outlier"
    assert high > 3.0


def test_entropy_is_as_good_as_an_exhaustive_search():
    random = np.random.default_rng(2)
    values = random.normal(size=50_000)
    values[:5] = 30.0
    histogram = seen(values)["x"]
    found = ranges({"x": histogram}, "entropy")["x"]
    low, high = values.min(), values.max()
    best = min(
        divergence(histogram, (low * a, high * b)) for a in np.linspace(1, 0.3, 15) for b in np.linspace(1, 0.06, 80)
    )
    assert divergence(histogram, found) <= best * 1.05


@pytest.mark.parametrize("side", [1, -1])
def test_entropy_clips_an_outlier_and_spares_the_rest(side):
    values = np.random.default_rng(0).normal(size=100_000)
    values[:10] = side * 40.0
    low, high = sorted(side * bound for bound in calibrated("entropy", *np.array_split(values, 4)))
    assert 2.5 < high < 8, f"the outlier at 40 should go, the normal's own range (4.5) should stay: {high}"
    assert -5 < low < -2.5


@pytest.mark.parametrize("calibrator", ["entropy", "mse"])
@pytest.mark.parametrize("size", [3_000, 100_000])
def test_a_uniform_tensor_keeps_its_full_range(calibrator, size):
    low, high = calibrated(calibrator, np.random.default_rng(1).uniform(-1, 1, size))
    assert low < -0.985
    assert high > 0.985


@pytest.mark.parametrize("calibrator", ["entropy", "mse"])
def test_many_zeros_do_not_change_the_answer(calibrator):
    """A ReLU's zeros cost nothing at any scale, so they must not pull the range together."""
    values = np.abs(np.random.default_rng(4).normal(size=50_000))
    with_zeros = np.concatenate([values, np.zeros(200_000)])
    assert calibrated(calibrator, with_zeros) == pytest.approx(calibrated(calibrator, values), rel=1e-3)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("value", [0.0, -0.0, 3.5, -2e-3, 1e-30, -1e30, 5e-324])
def test_a_constant_tensor(calibrator, value):
    """Tensors that are all one value (dead channels) keep it, without NaN, warnings or a crash."""
    with np.errstate(all="raise", under="ignore"):
        low, high = calibrated(calibrator, np.full(7, value), np.full((2, 3), value))
    assert low <= value <= high
    assert (low, high) in {(value, value), (min(value, 0), max(value, 0))}


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_a_constant_tensor_that_moves_after_all(calibrator):
    low, high = calibrated(calibrator, np.zeros(100), np.linspace(-1, 2, 10_000))
    assert low == pytest.approx(-1, abs=0.02)
    assert high == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@settings(max_examples=25, deadline=None)
@given(values=VALUES)
def test_a_range_is_finite_ordered_and_never_wider_than_needed(calibrator, values):
    low, high = calibrated(calibrator, values)
    assert np.isfinite([low, high]).all()
    assert low <= high
    assert low >= min(values.min(), 0)
    assert high <= max(values.max(), 0)
    if calibrator in ("entropy", "mse"):
        assert low <= 0 <= high, "zero stays representable"


def test_each_tensor_has_its_own_range_over_all_samples():
    samples = [{"a": np.array([1.0]), "b": np.array([-1.0])}, {"a": np.array([3.0]), "b": np.array([-4.0])}]
    assert ranges(observe(samples), "minmax") == {"a": (1.0, 3.0), "b": (-4.0, -1.0)}


def test_integers_and_empty_tensors_have_no_range():
    samples = [{"ids": np.array([1, 2]), "none": np.zeros((0, 3)), "x": np.array([1.0])}]
    assert set(observe(samples)) == {"x"}


def test_nothing_to_calibrate_on():
    with pytest.raises(DataError, match="at least one sample"):
        observe([])
    with pytest.raises(DataError, match="at least one sample"):
        check_samples([], {"x": (1,)})


@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_values_that_are_not_finite(bad, word):
    with pytest.raises(DataError) as caught:
        seen([1.0, 2.0], [1.0, bad])
    assert caught.value.seen == f"{word} in tensor 'x' on sample 1"
    with pytest.raises(DataError, match=f"{word} in tensor 'x' on sample 0"):
        check_samples([{"x": np.array([bad])}], {"x": (1,)})


def test_samples_that_do_not_fit_the_model():
    check_samples([{"x": np.zeros((1, 2)), "extra": np.zeros(1)}], {"x": (1, 2)})
    with pytest.raises(DataError, match=r"sample 1 needs input 'x' of shape \[1, 2\]") as caught:
        check_samples([{"x": np.zeros((1, 2))}, {"x": np.zeros((2, 1))}], {"x": (1, 2)})
    assert caught.value.seen == "shape [2, 1]"
    with pytest.raises(DataError, match="no such input"):
        check_samples([{"y": np.zeros((1, 2))}], {"x": (1, 2)})


def test_an_unknown_calibrator_names_the_nearest():
    with pytest.raises(ConfigError) as caught:
        ranges({}, "entrpy")
    assert "entropy" in caught.value.next_step


@pytest.mark.parametrize("percentile", [50.0, -1.0, 100.1, float("nan")])
def test_a_percentile_that_leaves_nothing(percentile):
    with pytest.raises(ConfigError, match="above 50"):
        calibrated("percentile", [1.0, 2.0], percentile=percentile)
