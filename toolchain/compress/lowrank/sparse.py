"""A low-rank layer and a sparse one side by side."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import nn

from toolchain.compress.lowrank.pairs import Svd
from toolchain.compress.lowrank.scheme import Built, Counts, Menu, Price
from toolchain.compress.lowrank.sites import Matrix, Site
from toolchain.compress.lowrank.stages import conv, linear, pointwise

#: Shares of the full rank, and of the weights, that are looked at.
RANKS = (0.0625, 0.125, 0.25, 0.375)
DENSITIES = (0.01, 0.03, 0.06, 0.12, 0.25)
_ROUNDS = 40


class Sum(nn.Module):  # type: ignore[misc]
    """What two layers say of the same input, added up."""

    def __init__(self, low: nn.Module, sparse: nn.Module) -> None:
        super().__init__()
        self.low, self.sparse = low, sparse

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Both, added."""
        return self.low(x) + self.sparse(x)


@dataclasses.dataclass(frozen=True)
class Parts:
    """W ~ left right + sparse: (O, R), (R, D), (O, D)."""

    left: Matrix
    right: Matrix
    sparse: Matrix

    @property
    def matrix(self) -> Matrix:
        """All together."""
        return self.left @ self.right + self.sparse


def decompose(matrix: Matrix, rank: int, nonzeros: int) -> Parts:
    """Greedy bilateral decomposition: min ||W - U V - S|| with U (O, R), V (R, D) and ``nonzeros`` values in S.

    Zhou & Tao 2013 (AISTATS), as in Yu et al. 2017 (CVPR, GreBdec): U = qr((W - S) V^T), V = U^T (W - S), S the
    largest values of W - U V; the rank grows one by one, the new row of V is the strongest right singular direction
    of what is left. No step raises the error.
    """
    sparse = _largest(matrix, 0)
    right = np.zeros((0, matrix.shape[1]))
    left = np.zeros((len(matrix), 0))
    for size in range(1, rank + 1):
        rest = matrix - sparse - left @ right
        right = np.vstack([right, _direction(rest)])
        rounds = _ROUNDS if size == rank else 2
        for _ in range(rounds):
            left, _ = np.linalg.qr((matrix - sparse) @ right.T)
            right = left.T @ (matrix - sparse)
            sparse = _largest(matrix - left @ right, nonzeros)
    return Parts(left, right, sparse)


def _direction(rest: Matrix) -> Matrix:
    """The strongest right singular vector, by four rounds of the power method from the largest row."""
    v = rest[np.linalg.norm(rest, axis=1).argmax()]
    for _ in range(4):
        v = rest.T @ (rest @ v)
        v = v / (np.linalg.norm(v) or 1.0)
    return v[None]


def _largest(matrix: Matrix, count: int) -> Matrix:
    """Only the ``count`` values with the largest magnitudes, the first ones where they are equal."""
    kept = np.zeros(matrix.size)
    at = np.argsort(-np.abs(matrix).ravel(), kind="stable")[:count]
    kept[at] = matrix.ravel()[at]
    return kept.reshape(matrix.shape)


class SparseLowRank:
    """W ~ U V + S as two plain layers whose outputs are added; see :func:`decompose`. Ranks are (R, values in S)."""

    saves = "bytes"

    def __init__(self) -> None:
        self._svd = Svd()
        self._known: dict[tuple[str, int, int], Parts] = {}

    def menu(self, site: Site) -> Menu:
        """A grid of both."""
        matrix = _rows(site)
        full = min(matrix.shape)
        pairs = sorted({(max(1, round(r * full)), max(1, round(d * matrix.size))) for r in RANKS for d in DENSITIES})
        total = float((matrix**2).sum()) or 1.0
        errors = [((matrix - self._parts(site, *pair).matrix) ** 2).sum() / total for pair in pairs]
        return Menu(np.array(pairs, np.int64), np.array(errors))

    def price(self, site: Site, ranks: Counts) -> Price:
        """Both layers compute in full; of the sparse one only its values are stored, and a bit for each place."""
        low = self._svd.price(site, ranks[:, :1])
        size = site.layer.weight.element_size()
        stored = np.minimum(-(-site.params // 8) + ranks[:, 1] * size, site.params * size)
        return Price(low.params + site.params, low.macs + site.macs, low.bytes + stored)

    def vbmf(self, site: Site) -> tuple[int, ...]:
        """The rank of the weight; a twentieth of the values are sparse."""
        return (*self._svd.vbmf(site), max(1, site.params // 20))

    def uniform(self, site: Site, rank: int) -> tuple[int, ...]:
        """At most the full rank; a twentieth of the values are sparse."""
        return (*self._svd.uniform(site, rank), max(1, site.params // 20))

    def build(self, site: Site, ranks: tuple[int, ...]) -> Built:
        """Two layers in a :class:`Sum`; the bias is in the sparse one."""
        parts, shape = self._parts(site, *ranks), site.tensor.shape
        whole = parts.sparse.reshape(shape)
        if isinstance(site.layer, nn.Linear):
            sparse: nn.Module = linear(site.layer, parts.sparse, last=True)
        else:
            sparse = conv(site.layer, whole, height=True, width=True, last=True)
        return Built(Sum(_low(site, parts), sparse), parts.matrix.reshape(shape))

    def _parts(self, site: Site, rank: int, nonzeros: int) -> Parts:
        key = site.name, rank, nonzeros
        if key not in self._known:
            self._known[key] = decompose(_rows(site), rank, nonzeros)
        return self._known[key]


def _low(site: Site, parts: Parts) -> nn.Sequential:
    """U V as two layers without bias."""
    if site.pointwise:
        made = pointwise(site.layer, (parts.right, parts.left))
        made[-1].bias = None
        return made
    first = parts.right.reshape(-1, *site.tensor.shape[1:])
    return nn.Sequential(
        conv(site.layer, first, height=True, width=True), conv(site.layer, parts.left[:, :, None, None])
    )


def _rows(site: Site) -> Matrix:
    rows: Matrix = site.tensor.reshape(len(site.tensor), -1)
    return rows
