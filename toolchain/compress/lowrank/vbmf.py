"""How many singular values of a noisy matrix are signal, by variational Bayes."""

from __future__ import annotations

import math

import numpy as np

from toolchain.compress.lowrank.sites import Matrix

#: 2.5129 sqrt(alpha): the authors' approximation of the solution of the threshold's equation.
_TAU = 2.5129


def rank(matrix: Matrix) -> int:
    """The rank by the global analytic solution of empirical variational Bayesian matrix factorisation.

    Nakajima, Sugiyama, Babacan & Tomioka 2013 ("Global analytic solution of fully-observed variational
    Bayesian matrix factorization", JMLR 14), theorem 2 and corollary 3. With V of shape (L, M), L <= M,
    alpha = L / M and singular values gamma_h, those at or above
    sigma sqrt(M (1 + tau) (1 + alpha / tau)) are kept, tau = 2.5129 sqrt(alpha); the noise's variance
    sigma^2 minimises the free energy.

    Args:
        matrix: V, any shape.

    Returns:
        From 0 to min(L, M).
    """
    rows, columns = sorted(matrix.shape)
    gamma2 = np.linalg.svd(matrix.astype(np.float64), compute_uv=False) ** 2
    if gamma2[0] == 0:
        return 0
    tau = _TAU * math.sqrt(rows / columns)
    edge = (1 + tau) * (1 + rows / columns / tau)
    sigma2 = _noise(np.asarray(gamma2, np.float64), rows, columns, edge)
    return int((gamma2 >= sigma2 * columns * edge).sum())


def _noise(gamma2: Matrix, rows: int, columns: int, edge: float) -> float:
    """The variance sigma^2 that minimises the free energy between the bounds of theorem 2 (equation 17)."""
    most = min(math.ceil(rows / (1 + rows / columns)) - 1, rows - 1)
    lower = max(gamma2[most] / (columns * edge), gamma2[most:].mean() / columns)
    upper = gamma2.sum() / (rows * columns)
    if lower >= upper:
        return float(upper)
    low, high = max(lower, upper * 1e-12), upper
    for _ in range(3):
        grid = np.geomspace(low, high, 64)
        at = int(np.argmin([_energy(value, gamma2, rows, columns, edge) for value in grid]))
        low, high = grid[max(at - 1, 0)], grid[min(at + 1, 63)]
    return float(grid[at])


def _energy(sigma2: float, gamma2: Matrix, rows: int, columns: int, edge: float) -> float:
    """The objective of sigma^2: sum psi_1 over the kept, psi_0 over the others (equations 18 to 22)."""
    x = np.maximum(gamma2, gamma2[0] * 1e-300) / (columns * sigma2)
    kept = x[x > edge]
    alpha = rows / columns
    half = kept - (1 + alpha)
    roots = 0.5 * (half + np.sqrt(half**2 - 4 * alpha))
    psi0 = (x - np.log(x)).sum()
    psi1 = (np.log1p(roots) + alpha * np.log1p(roots / alpha) - roots).sum()
    return float(psi0 + psi1)
