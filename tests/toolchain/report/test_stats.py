"""Bootstrap medians against closed forms and against plain resampling."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.measurement import Kind, Metric
from toolchain.report.ranking import Judgement, judge
from toolchain.report.stats import bootstrap_medians, density, speed_up

DRAWS = 60_000


def metric(samples: list[float], **more) -> Metric:
    return Metric(float(np.median(samples)), "s", Kind.MEASURED, "test", samples=tuple(samples), **more)


@pytest.mark.parametrize(
    ("samples", "wanted"),
    [
        # Of 27 resamples of three values, 7 have the smallest as their median: (1/3)^3 + 3 (1/3)^2 (2/3).
        ([3.0, 1.0, 2.0], {1.0: 7 / 27, 2.0: 13 / 27, 3.0: 7 / 27}),
        ([1.0, 3.0], {1.0: 1 / 4, 2.0: 1 / 2, 3.0: 1 / 4}),
        ([5.0], {5.0: 1.0}),
    ],
)
def test_resampled_medians_follow_their_exact_distribution(samples, wanted):
    counted = Counter(bootstrap_medians(samples, draws=DRAWS).tolist())
    assert set(counted) == set(wanted), "a median came out that no resample can have"
    for value, probability in wanted.items():
        assert counted[value] / DRAWS == pytest.approx(probability, abs=0.01), f"the median {value} is off"


@pytest.mark.parametrize("size", [9, 10, 51])
def test_resampled_medians_agree_with_plain_resampling(size):
    rng = np.random.default_rng(size)
    samples = rng.lognormal(0.0, 0.5, size)
    plain = np.median(rng.choice(samples, (20_000, size)), axis=1)
    drawn = bootstrap_medians(samples.tolist(), draws=20_000)
    for percent in (2.5, 25, 50, 75, 97.5):
        assert np.percentile(drawn, percent) == pytest.approx(np.percentile(plain, percent), rel=0.04), (
            f"percentile {percent} of the medians differs from resampling"
        )


@given(st.lists(st.floats(0.5, 2.0), min_size=8, max_size=40), st.floats(1.2, 5.0))
def test_the_interval_holds_the_scale_between_identical_shapes(samples, factor):
    ratio = speed_up(metric([s * factor for s in samples]), metric(samples))
    assert ratio.value == pytest.approx(factor)
    assert ratio.low <= factor * (1 + 1e-9) and ratio.high >= factor * (1 - 1e-9), "the interval misses the true ratio"


def test_noise_is_not_a_speed_up():
    rng = np.random.default_rng(1)
    one, other = (rng.lognormal(0.0, 0.1, 200).tolist() for _ in range(2))
    assert judge(speed_up(metric(one), metric(other))) is Judgement.NOT_MEASURABLY, "two equal runs were told apart"


def test_a_real_difference_is_seen_either_way():
    rng = np.random.default_rng(2)
    slow, fast = rng.lognormal(0.4, 0.1, 200).tolist(), rng.lognormal(0.0, 0.1, 200).tolist()
    assert judge(speed_up(metric(slow), metric(fast))) is Judgement.HELPED
    assert judge(speed_up(metric(fast), metric(slow))) is Judgement.HARMED


def test_drift_is_not_taken_for_a_speed_up():
    """Two runs of one process that moves in slow waves: the plain bootstrap calls most of them different."""
    rng = np.random.default_rng(3)
    waves = rng.normal(0.0, 0.02, (2, 60, 400))
    for step in range(1, 400):
        waves[:, :, step] += 0.95 * waves[:, :, step - 1]
    runs = np.exp(waves)
    wrong = plain = 0
    for one, other in zip(runs[0], runs[1], strict=True):
        wrong += judge(speed_up(metric(one.tolist()), metric(other.tolist()))) is not Judgement.NOT_MEASURABLY
        ratios = bootstrap_medians(one.tolist()) / bootstrap_medians(other.tolist(), seed=1)
        low, high = np.percentile(ratios, [2.5, 97.5])
        plain += not low <= 1.0 <= high
    assert plain > 35, "the drift is too small for this test to say anything"
    assert wrong < plain / 3, f"{wrong} of 60 equal pairs were told apart, {plain} without looking at batches"


def test_uncertainties_serve_where_there_are_no_samples():
    base = Metric(2.0, "s", Kind.MEASURED, "test", uncertainty=0.02)
    other = Metric(1.0, "s", Kind.MEASURED, "test", uncertainty=0.0)
    ratio = speed_up(base, other)
    assert ratio.low == pytest.approx(2.0 - 1.96 * 0.02), "to first order, only the base's uncertainty counts here"
    assert judge(ratio) is Judgement.HELPED


def test_without_any_spread_nothing_is_judged():
    bare = Metric(1.0, "s", Kind.MEASURED, "test")
    assert judge(speed_up(bare, metric([0.5] * 20))) is Judgement.UNKNOWN, "one number cannot show a difference"


def test_a_missing_figure_has_no_speed_up():
    with pytest.raises(ValueError, match="two positive"):
        speed_up(Metric(0.0, "s", Kind.MEASURED, "test"), metric([1.0]))


def test_density_peaks_where_the_samples_are():
    grid = np.linspace(0.0, 100.0, 101)
    curve = density([20.0] * 30 + [80.0] * 10, grid.tolist())
    assert curve.max() == pytest.approx(1.0)
    assert grid[int(curve.argmax())] == pytest.approx(20.0), "the peak is not over the heap"
    assert density([5.0] * 10, [0.0, 5.0, 10.0])[1] == pytest.approx(1.0), "identical samples are still a hill"
