"""Two factors from one singular value decomposition: of the weight as a matrix, or rearranged for kx1 and 1xk."""

from __future__ import annotations

import numpy as np
from torch import nn

from toolchain.compress.lowrank import vbmf
from toolchain.compress.lowrank.scheme import Built, Counts, Menu, Metric, Metrics, Price, candidates, dense, no_metric
from toolchain.compress.lowrank.sites import Matrix, Site
from toolchain.compress.lowrank.stages import conv, pointwise

Factors = tuple[Matrix, Matrix, Matrix]


def tail(values: Matrix) -> Matrix:
    """Squared errors of rank 1, 2, …: sums of the squared singular values left out (Eckart & Young 1936)."""
    squares = values**2
    return np.append(np.cumsum(squares[::-1])[::-1][1:], 0.0)


class _Pair:
    """Two factors from the singular value decomposition of a matrix that holds the weight."""

    saves = "macs"

    def __init__(self, metrics: Metrics = no_metric, round_to: int = 1) -> None:
        self._metrics, self._round_to = metrics, round_to
        self._known: dict[str, Factors] = {}

    @staticmethod
    def matrix(tensor: Matrix) -> Matrix:
        """The weight (O, I, kh, kw) as the matrix that is decomposed."""
        raise NotImplementedError

    def weighed(self, site: Site, metric: Metric) -> Matrix:
        """That matrix under a metric."""
        raise NotImplementedError

    def menu(self, site: Site) -> Menu:
        """One rank, up to that of the matrix."""
        values = self._factors(site)[1]
        ranks = candidates(len(values), self._round_to)
        return spectrum_menu(values, ranks, relative=self._metrics(site) is None)

    def vbmf(self, site: Site) -> tuple[int, ...]:
        """Of the matrix as it is, without a metric."""
        return (max(vbmf.rank(self.matrix(site.tensor)), 1),)

    def uniform(self, site: Site, rank: int) -> tuple[int, ...]:
        """At most the full rank."""
        return (min(rank, *self.matrix(site.tensor).shape),)

    def _factors(self, site: Site) -> Factors:
        if site.name not in self._known:
            metric = self._metrics(site)
            self._known[site.name] = _svd(self.matrix(site.tensor) if metric is None else self.weighed(site, metric))
        return self._known[site.name]


class Svd(_Pair):
    """W (O, I kh kw) = U S V^T: a kh x kw convolution to R channels, then 1x1 (Denton et al. 2014, arXiv:1404.0736).

    With a metric (A, B) it is the decomposition of A W B, its factors multiplied by the inverses: of all
    weights of rank R the one with the smallest ||A (W - W_R) B||.
    """

    @staticmethod
    def matrix(tensor: Matrix) -> Matrix:
        """(O, I kh kw)."""
        return tensor.reshape(len(tensor), -1)

    def weighed(self, site: Site, metric: Metric) -> Matrix:
        """A W B."""
        return metric.left @ self.matrix(site.tensor) @ metric.right

    def price(self, site: Site, ranks: Counts) -> Price:
        """R (I kh kw + O) weights, all at the output's positions."""
        out, inner = self.matrix(site.tensor).shape
        return dense([(ranks[:, 0] * (inner + out), site.places.outputs)], site)

    def build(self, site: Site, ranks: tuple[int, ...]) -> Built:
        """Two layers; see the class."""
        shape = site.tensor.shape
        first, second = _halves(self._factors(site), ranks[0])
        if metric := self._metrics(site):
            first, second = first @ metric.right_inverse, metric.left_inverse @ second
        made = (second @ first).reshape(shape)
        if site.pointwise:
            return Built(pointwise(site.layer, (first, second)), made)
        spatial = conv(site.layer, first.reshape(-1, *shape[1:]), height=True, width=True)
        return Built(nn.Sequential(spatial, conv(site.layer, second[:, :, None, None], last=True)), made)


class Separable(_Pair):
    """W -> (I kh) x (kw O) = U S V^T: a kh x 1 convolution to R channels, then 1 x kw.

    Jaderberg, Vedaldi & Zisserman 2014 (arXiv:1405.3866), scheme 2, with the closed form of Tai et al. 2016
    (arXiv:1511.06067, theorem 1). Linear layers and 1x1 convolutions become two factors by the same formula.
    With a metric, A W B_c is decomposed, A on the outputs, B_c on the input channels; the factors take the inverses.
    """

    @staticmethod
    def matrix(tensor: Matrix) -> Matrix:
        """(I kh, kw O)."""
        out, inner, high, wide = tensor.shape
        return tensor.transpose(1, 2, 3, 0).reshape(inner * high, wide * out)

    def weighed(self, site: Site, metric: Metric) -> Matrix:
        """Of A W B_c."""
        return self.matrix(metric.tensor(site.tensor))

    def price(self, site: Site, ranks: Counts) -> Price:
        """R I kh weights before the width is strided, R kw O after."""
        rows, columns = self.matrix(site.tensor).shape
        first = site.places.outputs if site.pointwise else site.places.between
        return dense([(ranks[:, 0] * rows, first), (ranks[:, 0] * columns, site.places.outputs)], site)

    def build(self, site: Site, ranks: tuple[int, ...]) -> Built:
        """Two layers; see the class."""
        vertical, horizontal = self._pair(site, ranks[0])
        made = np.einsum("ohr,riv->oivh", horizontal, vertical)
        if site.pointwise:
            return Built(pointwise(site.layer, (vertical[:, :, 0], horizontal[:, 0])), made)
        first = conv(site.layer, vertical[:, :, :, None], height=True)
        last = conv(site.layer, horizontal.transpose(0, 2, 1)[:, :, None, :], width=True, last=True)
        return Built(nn.Sequential(first, last), made)

    def _pair(self, site: Site, rank: int) -> tuple[Matrix, Matrix]:
        """(R, I, kh) and (O, kw, R)."""
        out, inner, high, wide = site.tensor.shape
        turned, left = _halves(self._factors(site), rank)
        vertical, horizontal = left.T.reshape(-1, inner, high), turned.T.reshape(wide, out, -1).transpose(1, 0, 2)
        if metric := self._metrics(site):
            vertical = np.einsum("riv,ij->rjv", vertical, metric.channels_inverse)
            horizontal = np.einsum("po,ohr->phr", metric.left_inverse, horizontal)
        return vertical, horizontal


def spectrum_menu(values: Matrix, ranks: Counts, *, relative: bool) -> Menu:
    """The menu of a decomposition with these singular values; errors as shares, or as they are."""
    total = float((values**2).sum()) or 1.0
    unit = total if relative else 1.0
    return Menu(ranks[:, None], tail(values)[ranks - 1] / unit, total / unit)


def _svd(matrix: Matrix) -> Factors:
    u, values, vt = np.linalg.svd(matrix, full_matrices=False)
    return u, values, vt


def _halves(factors: Factors, rank: int) -> tuple[Matrix, Matrix]:
    """sqrt(S) V^T of shape (R, columns) and U sqrt(S) of shape (rows, R): alike in scale, which training likes."""
    u, values, vt = factors
    roots = np.sqrt(values[:rank])
    return roots[:, None] * vt[:rank], u[:, :rank] * roots
