"""Tucker-2: 1x1, a small kh x kw core, 1x1."""

from __future__ import annotations

import dataclasses

import numpy as np
from torch import nn

from toolchain.compress.lowrank import vbmf
from toolchain.compress.lowrank.pairs import Svd
from toolchain.compress.lowrank.scheme import Built, Counts, Menu, Metric, Metrics, Price, candidates, dense, no_metric
from toolchain.compress.lowrank.sites import Matrix, Site
from toolchain.compress.lowrank.stages import conv

#: Rounds of the alternation at most, and the share of the squared norm that one must gain for another to follow.
ROUNDS, TOLERANCE = 30, 1e-6


@dataclasses.dataclass(frozen=True)
class _Known:
    """The weight in the metric (O, I, kh, kw), and the energy that each pair of ranks keeps: (O, I)."""

    tensor: Matrix
    kept: Matrix


class Tucker2:
    """W ~ C x_1 U x_2 V: 1x1 from I to R_in, a kh x kw core C from R_in to R_out, 1x1 to O.

    Kim et al. 2016 (arXiv:1511.06530): a partial Tucker decomposition along both channel axes; layers whose
    weight is a matrix get two factors (SVD). Errors of all pairs of ranks come from one higher-order SVD
    (De Lathauwer et al. 2000), chosen ranks are decomposed by :func:`hooi`, which is never worse. With a metric
    (A, B_c on the channels) A W B_c is decomposed; then core and U are the best for the whole metric (A, B) given V:
    a reduced-rank regression (Izenman 1975).
    """

    saves = "macs"

    def __init__(self, metrics: Metrics = no_metric, round_to: int = 1) -> None:
        self._metrics, self._round_to = metrics, round_to
        self._matrix = Svd(metrics, round_to)
        self._known: dict[str, _Known] = {}

    def menu(self, site: Site) -> Menu:
        """(R_out, R_in), neither more than kh kw times the other; of matrices one rank."""
        if site.pointwise:
            return self._matrix.menu(site)
        known = self._decomposed(site)
        outs, inners = (candidates(full, self._round_to) for full in known.kept.shape)
        outs, inners = (axis.ravel() for axis in np.meshgrid(outs, inners, indexing="ij"))
        pairs = np.unique(np.stack(_useful(site, outs, inners), 1), axis=0)
        left = known.kept[-1, -1] - known.kept[pairs[:, 0] - 1, pairs[:, 1] - 1]
        total = float(known.kept[-1, -1]) or 1.0
        unit = 1.0 if self._metrics(site) else total
        return Menu(pairs, np.maximum(left, 0) / unit, total / unit)

    def price(self, site: Site, ranks: Counts) -> Price:
        """R_in I weights at the input's positions, R_in R_out kh kw and R_out O at the output's."""
        if site.pointwise:
            return self._matrix.price(site, ranks)
        out, inner, high, wide = site.tensor.shape
        outs, inners = ranks.T
        after = outs * inners * high * wide + outs * out
        return dense([(inners * inner, site.places.inputs), (after, site.places.outputs)], site)

    def vbmf(self, site: Site) -> tuple[int, ...]:
        """Of the unfoldings along both channel axes."""
        if site.pointwise:
            return self._matrix.vbmf(site)
        return _pair(site, *(max(vbmf.rank(_unfolded(site.tensor, axis)), 1) for axis in (0, 1)))

    def uniform(self, site: Site, rank: int) -> tuple[int, ...]:
        """At most O and I, and what the other rank can use."""
        if site.pointwise:
            return self._matrix.uniform(site, rank)
        return _pair(site, min(rank, site.tensor.shape[0]), min(rank, site.tensor.shape[1]))

    def build(self, site: Site, ranks: tuple[int, ...]) -> Built:
        """Three layers; see the class."""
        if site.pointwise:
            return self._matrix.build(site, ranks)
        first, core, last = self._factors(site, ranks)
        made = np.einsum("or,rshw,si->oihw", last, core, first)
        stages = (
            conv(site.layer, first[:, :, None, None]),
            conv(site.layer, core, height=True, width=True),
            conv(site.layer, last[:, :, None, None], last=True),
        )
        return Built(nn.Sequential(*stages), made)

    def _factors(self, site: Site, ranks: tuple[int, ...]) -> tuple[Matrix, Matrix, Matrix]:
        """V^T (R_in, I), the core (R_out, R_in, kh, kw), U (O, R_out)."""
        known, metric = self._decomposed(site), self._metrics(site)
        core, u, v = hooi(known.tensor, *ranks)
        if metric is None:
            return v.T, core, u
        first = v.T @ metric.channels_inverse
        return first, *_regressed(site.tensor, first, ranks[0], metric)

    def _decomposed(self, site: Site) -> _Known:
        if site.name not in self._known:
            tensor, metric = site.tensor, self._metrics(site)
            if metric is not None:
                tensor = metric.tensor(tensor)
            u, v = (_basis(_unfolded(tensor, axis)) for axis in (0, 1))
            energies = (np.einsum("oihw,or,is->rshw", tensor, u, v, optimize=True) ** 2).sum((2, 3))
            self._known[site.name] = _Known(tensor, energies.cumsum(0).cumsum(1))
        return self._known[site.name]


def hooi(tensor: Matrix, out: int, inner: int) -> tuple[Matrix, Matrix, Matrix]:
    """Core (R_out, R_in, kh, kw), U (O, R_out), V (I, R_in) with the least ||W - core x_1 U x_2 V||, W (O, I, kh, kw).

    Higher-order orthogonal iteration (De Lathauwer, De Moor & Vandewalle 2000, "On the best rank-1 and
    rank-(R1, ..., RN) approximation", algorithm 4.2): in turn, U are the strongest left singular vectors of W x_2 V^T
    unfolded along its first axis, and V those of W x_1 U^T along its second, from the higher-order SVD on; both by
    the eigenvectors of the small Gram matrix. It ends when a round gains less than :data:`TOLERANCE` of the norm.
    """
    v = _basis(_unfolded(tensor, 1))[:, :inner]
    kept, total = 0.0, float((tensor**2).sum())
    for _ in range(ROUNDS):
        u = _basis(_unfolded(np.einsum("oihw,is->oshw", tensor, v, optimize=True), 0))[:, :out]
        left = np.einsum("oihw,or->rihw", tensor, u, optimize=True)
        v = _basis(_unfolded(left, 1))[:, :inner]
        core = np.einsum("rihw,is->rshw", left, v, optimize=True)
        before, kept = kept, float((core**2).sum())
        if kept - before <= TOLERANCE * total:
            break
    return core, u, v


def _useful(site: Site, outs: Counts, inners: Counts) -> tuple[Counts, Counts]:
    """The part of ranks that the core can use: its rows are combinations of kh kw values per input, and so on."""
    high, wide = site.tensor.shape[2:]
    return np.minimum(outs, inners * high * wide), np.minimum(inners, outs * high * wide)


def _pair(site: Site, out: int, inner: int) -> tuple[int, int]:
    """The same of one pair."""
    outs, inners = _useful(site, np.array([out]), np.array([inner]))
    return int(outs[0]), int(inners[0])


def _unfolded(tensor: Matrix, axis: int) -> Matrix:
    """(channels of the axis, everything else)."""
    return np.moveaxis(tensor, axis, 0).reshape(tensor.shape[axis], -1)


def _basis(matrix: Matrix) -> Matrix:
    """All left singular vectors as columns, the strongest first."""
    return np.linalg.eigh(matrix @ matrix.T)[1][:, ::-1]


def _regressed(tensor: Matrix, first: Matrix, rank: int, metric: Metric) -> tuple[Matrix, Matrix]:
    """Core (R_out, R_in, kh, kw) and U (O, R_out) that minimise ||A (W - U core (V^T x I)) B|| for the given V^T.

    With Q L^T = qr(B^T (V x I)), the answer is the truncated SVD of A W B Q.
    """
    out, inner, high, wide = tensor.shape
    inputs = np.einsum("ri,ihwd->rhwd", first, metric.right.reshape(inner, high, wide, -1)).reshape(
        -1, len(metric.right)
    )
    basis, triangle = np.linalg.qr(inputs.T)
    u, values, vt = np.linalg.svd(metric.left @ tensor.reshape(out, -1) @ metric.right @ basis, full_matrices=False)
    roots = np.sqrt(values[:rank])
    core = np.linalg.solve(triangle, vt[:rank].T).T * roots[:, None]
    return core.reshape(rank, -1, high, wide), metric.left_inverse @ (u[:, :rank] * roots)
