"""The rank by variational Bayes against matrices whose rank is known."""

import numpy as np
import pytest

from toolchain.compress.lowrank import vbmf


def noisy(rows, columns, rank, noise, seed=0):
    random = np.random.default_rng(seed)
    signal = random.standard_normal((rows, rank)) @ random.standard_normal((rank, columns))
    return signal + noise * random.standard_normal((rows, columns))


@pytest.mark.parametrize(("rows", "columns"), [(64, 144), (144, 64), (40, 40), (16, 300)])
@pytest.mark.parametrize("rank", [1, 4, 9])
@pytest.mark.parametrize("noise", [0.01, 0.5])
def test_low_rank_and_noise_gives_the_rank(rows, columns, rank, noise):
    assert vbmf.rank(noisy(rows, columns, rank, noise, seed=rank)) == rank


def test_noise_alone_has_no_rank():
    assert vbmf.rank(noisy(60, 120, 0, 1.0)) == 0


def test_nothing_has_no_rank():
    assert vbmf.rank(np.zeros((5, 7))) == 0


def test_the_unit_does_not_matter():
    matrix = noisy(30, 50, 3, 0.3)
    assert vbmf.rank(matrix * 1e-6) == vbmf.rank(matrix) == vbmf.rank(matrix * 1e6)


@pytest.mark.parametrize(("rows", "columns"), [(200, 400), (150, 300)])
def test_the_threshold_lies_where_the_corollary_says(rows, columns):
    """The spectrum of noise of variance 1, and one value 4 % below and above sqrt(M (1 + tau) (1 + alpha / tau))."""
    values = np.linalg.svd(np.random.default_rng(0).standard_normal((rows, columns)), compute_uv=False)
    tau = 2.5129 * np.sqrt(rows / columns)
    edge = np.sqrt(columns * (1 + tau) * (1 + rows / columns / tau))
    for factor, wanted in ((0.96, 0), (1.04, 1)):
        values[0] = factor * edge
        matrix = np.zeros((rows, columns))
        np.fill_diagonal(matrix, values)
        assert vbmf.rank(matrix) == wanted


def test_signals_below_the_threshold_are_noise():
    """At the true variance, a singular value counts from sigma sqrt(M (1 + tau) (1 + alpha / tau)) on: corollary 3."""
    rows, columns, sigma = 50, 100, 1.0
    tau = 2.5129 * np.sqrt(rows / columns)
    threshold = sigma * np.sqrt(columns * (1 + tau) * (1 + rows / columns / tau))
    random = np.random.default_rng(3)
    u, v = random.standard_normal(rows), random.standard_normal(columns)
    direction = np.outer(u, v) / np.linalg.norm(u) / np.linalg.norm(v)
    noise = sigma * random.standard_normal((rows, columns))
    assert vbmf.rank(noise + 0.3 * threshold * direction) == 0
    assert vbmf.rank(noise + 1.3 * threshold * direction) == 1
