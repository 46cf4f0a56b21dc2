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
#: Steps in which the rank grows, and rounds for a look and for the final factors.
GROWTH, LOOK, FINAL = 4, 6, 60


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


def decompose(matrix: Matrix, rank: int, nonzeros: int, rounds: int = FINAL) -> Parts:
    """Greedy bilateral decomposition: min ||W - U V - S|| with U (O, R), V (R, D) and ``nonzeros`` values in S.

    Zhou & Tao 2013 (AISTATS), as in Yu et al. 2017 (CVPR, GreBdec): U = qr((W - S) V^T), V = U^T (W - S), S the
    largest values of W - U V. The rank grows in :data:`GROWTH` steps, new rows of V are the strongest right singular
    vectors of what is left. No round raises the error.
    """
    sparse = np.zeros_like(matrix)
    left, right = np.zeros((len(matrix), 0)), np.zeros((0, matrix.shape[1]))
    for size in np.unique(np.linspace(0, rank, GROWTH + 1).round().astype(int)[1:]):
        directions = np.linalg.svd(matrix - sparse - left @ right, full_matrices=False)[2]
        right = np.vstack([right, directions[: size - len(right)]])
        for _ in range(rounds if size == rank else 2):
            left, _ = np.linalg.qr((matrix - sparse) @ right.T)
            right = left.T @ (matrix - sparse)
            sparse = _largest(matrix - left @ right, nonzeros)
    return Parts(left, right, sparse)


def _largest(matrix: Matrix, count: int) -> Matrix:
    """Only the ``count`` values with the largest magnitudes."""
    kept = np.zeros(matrix.size)
    at = np.argpartition(-np.abs(matrix).ravel(), count - 1)[:count]
    kept[at] = matrix.ravel()[at]
    return kept.reshape(matrix.shape)


class SparseLowRank:
    """W ~ U V + S as two plain layers whose outputs are added; see :func:`decompose`. Ranks are (R, values in S)."""

    saves = "bytes"

    def __init__(self) -> None:
        self._svd = Svd()
        self._menus: dict[str, Menu] = {}

    def menu(self, site: Site) -> Menu:
        """A grid of both; errors after a few rounds."""
        if site.name not in self._menus:
            matrix = _rows(site)
            full = min(matrix.shape)
            pairs = sorted(
                {(max(1, round(r * full)), max(1, round(d * matrix.size))) for r in RANKS for d in DENSITIES}
            )
            total = float((matrix**2).sum()) or 1.0
            errors = [((matrix - decompose(matrix, *pair, LOOK).matrix) ** 2).sum() / total for pair in pairs]
            self._menus[site.name] = Menu(np.array(pairs, np.int64), np.array(errors))
        return self._menus[site.name]

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
        parts, shape = decompose(_rows(site), *ranks), site.tensor.shape
        whole = parts.sparse.reshape(shape)
        if isinstance(site.layer, nn.Linear):
            sparse: nn.Module = linear(site.layer, parts.sparse, last=True)
        else:
            sparse = conv(site.layer, whole, height=True, width=True, last=True)
        return Built(Sum(_low(site, parts), sparse), parts.matrix.reshape(shape))


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
