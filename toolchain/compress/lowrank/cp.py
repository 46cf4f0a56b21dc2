"""CP: 1x1, kh x 1 and 1 x kw on every channel by itself, 1x1."""

from __future__ import annotations

import warnings

import numpy as np
from torch import nn

from profiles.errors import ConfigError
from toolchain.compress.lowrank.pairs import Svd
from toolchain.compress.lowrank.scheme import Built, Counts, Menu, Metrics, Price, dense, no_metric
from toolchain.compress.lowrank.sites import Matrix, Site
from toolchain.compress.lowrank.stages import conv

#: Ranks per layer whose error is looked at, and alternating rounds for a look and for the final factors.
RANKS, LOOK, FINAL = 6, 15, 150
#: Components of opposite sign whose norms add up to more than so many times the tensor's have degenerated.
DEGENERATE = 30.0
#: Weight of the squared factors where the first try degenerates, as a share of the tensor's norm.
PULL = 1e-3
_Factors = tuple[Matrix, Matrix, Matrix, Matrix]


class Cp:
    """W[o, i, y, x] ~ sum over r of T[o, r] S[i, r] Y[y, r] X[x, r].

    The layers are 1x1 with S, kh x 1 with Y and 1 x kw with X on every channel by itself, 1x1 with T.

    Lebedev et al. 2015 (arXiv:1412.6553); TensorLy's alternating least squares, started from the singular vectors of
    the unfoldings. CP can degenerate: components grow and cancel, and training diverges (Phan et al. 2020,
    arXiv:2008.05441); then it is done again with a penalty on the factors, and if that does not help the
    layer stays as it is. Layers whose weight is a matrix get two factors (SVD). With a metric, A W B_c is decomposed.
    """

    saves = "macs"

    def __init__(self, metrics: Metrics = no_metric, *, seed: int = 0) -> None:
        self._metrics, self._seed = metrics, seed
        self._matrix = Svd(metrics)
        self._menus: dict[str, Menu] = {}

    def menu(self, site: Site) -> Menu:
        """Ranks up to where factors cost as much as the layer; errors of a few, the others' in between."""
        if site.pointwise:
            return self._matrix.menu(site)
        if site.name not in self._menus:
            self._menus[site.name] = self._looked_at(site)
        return self._menus[site.name]

    def price(self, site: Site, ranks: Counts) -> Price:
        """R I weights at the input's positions, R kh after the height is strided, R (kw + O) at the output's."""
        if site.pointwise:
            return self._matrix.price(site, ranks)
        out, inner, high, wide = site.tensor.shape
        rank, places = ranks[:, 0], site.places
        stages = [(rank * inner, places.inputs), (rank * high, places.between), (rank * (wide + out), places.outputs)]
        return dense(stages, site)

    def vbmf(self, site: Site) -> tuple[int, ...]:
        """There is no such estimate for CP."""
        raise ConfigError(
            'rank = "vbmf" is defined for matrices', seen="method 'cp'", next_step="give a number or a goal"
        )

    def uniform(self, site: Site, rank: int) -> tuple[int, ...]:
        """Any rank: CP has no highest one."""
        return self._matrix.uniform(site, rank) if site.pointwise else (rank,)

    def build(self, site: Site, ranks: tuple[int, ...]) -> Built:
        """Four layers, or the layer itself with a note where the decomposition degenerates."""
        if site.pointwise:
            return self._matrix.build(site, ranks)
        tensor, metric = self._tensor(site), self._metrics(site)
        factors = _decompose(tensor, ranks[0], FINAL, self._seed)
        if _degenerate(tensor, factors):
            factors = _decompose(tensor, ranks[0], FINAL, self._seed, PULL)
        if _degenerate(tensor, factors):
            return Built(site.layer, site.tensor, f"'{site.name}' stays as it is: CP of rank {ranks[0]} degenerates")
        out, inner, high, wide = factors
        if metric is not None:
            out, inner = metric.left_inverse @ out, metric.channels_inverse @ inner
        return Built(assemble(site.layer, (out, inner, high, wide)), rebuilt((out, inner, high, wide)))

    def _tensor(self, site: Site) -> Matrix:
        metric = self._metrics(site)
        return site.tensor if metric is None else metric.tensor(site.tensor)

    def _looked_at(self, site: Site) -> Menu:
        tensor = self._tensor(site)
        one = self.price(site, np.ones((1, 1), np.int64))
        highest = max(int(site.macs // one.macs[0]), int(site.params // one.params[0]), 1)
        looked, ranks = (np.unique(np.geomspace(1, highest, n).round().astype(np.int64)) for n in (RANKS, 8 * RANKS))
        total = float((tensor**2).sum()) or 1.0
        errors = [((tensor - rebuilt(_decompose(tensor, int(r), LOOK, self._seed))) ** 2).sum() for r in looked]
        unit = total if self._metrics(site) is None else 1.0
        between = np.interp(ranks, looked, np.minimum.accumulate(np.array(errors)))
        return Menu(ranks[:, None], between / unit, total / unit)


def assemble(like: nn.Conv2d, factors: _Factors) -> nn.Sequential:
    """The four layers from T (O, R), S (I, R), Y (kh, R), X (kw, R)."""
    out, inner, high, wide = factors
    rank = out.shape[1]
    return nn.Sequential(
        conv(like, inner.T[:, :, None, None]),
        conv(like, high.T[:, None, :, None], height=True, groups=rank),
        conv(like, wide.T[:, None, None, :], width=True, groups=rank),
        conv(like, out[:, :, None, None], last=True),
    )


def rebuilt(factors: _Factors) -> Matrix:
    """The tensor (O, I, kh, kw) that the factors stand for."""
    made: Matrix = np.einsum("or,ir,yr,xr->oiyx", *factors, optimize=True)
    return made


def _decompose(tensor: Matrix, rank: int, rounds: int, seed: int, pull: float = 0.0) -> _Factors:
    """Factors whose columns of one component have the same norm, so that no stage's values are much larger."""
    from tensorly.decomposition import parafac

    norm = float(np.linalg.norm(tensor)) or 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a kernel has fewer singular vectors than the rank
        weights, factors = parafac(
            tensor / norm, rank, n_iter_max=rounds, init="svd", tol=1e-7, l2_reg=pull, random_state=seed
        )
    norms = [np.maximum(np.linalg.norm(factor, axis=0), 1e-30) for factor in factors]
    each = (np.prod(norms, axis=0) * np.abs(weights) * norm) ** 0.25
    signs = np.sign(weights) if np.ndim(weights) else 1.0
    even = [factor / size * each for factor, size in zip(factors, norms, strict=True)]
    return even[0] * signs, even[1], even[2], even[3]


def _degenerate(tensor: Matrix, factors: _Factors) -> bool:
    """Whether values are not finite, or components cancel each other."""
    if not all(np.isfinite(factor).all() for factor in factors):
        return True
    sizes = np.prod([np.linalg.norm(factor, axis=0) for factor in factors], axis=0)
    return bool(np.linalg.norm(sizes) > DEGENERATE * np.linalg.norm(tensor))
