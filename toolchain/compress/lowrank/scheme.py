"""What a method says of a layer: the ranks that it may have, what each costs and how wrong it is, and the layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from torch import nn

from toolchain.compress.lowrank.sites import Matrix, Site

Counts = np.ndarray[Any, np.dtype[np.int64]]
#: At most so many ranks of one axis are looked at.
GRID = 64


@dataclasses.dataclass(frozen=True)
class Menu:
    """Candidates of one layer, row by row.

    Attributes:
        ranks: (candidates, ranks).
        errors: (candidates,): squared errors; shares of the layer, or with samples in units of the loss.
        total: the squared error of a layer that is all zero.
    """

    ranks: Counts
    errors: Matrix
    total: float = 1.0


@dataclasses.dataclass(frozen=True)
class Price:
    """Weights (biases left out), multiply-accumulates of one inference, stored bytes: (candidates,) each."""

    params: Counts
    macs: Counts
    bytes: Counts

    def of(self, kind: str) -> Counts:
        """``params``, ``macs`` or ``bytes``."""
        counts: Counts = getattr(self, kind)
        return counts


@dataclasses.dataclass(frozen=True)
class Built:
    """A factorised layer, and the weight (O, I, kh, kw) that it stands for."""

    layer: nn.Module
    tensor: Matrix
    note: str = ""


class Scheme(Protocol):
    """A way to factorise a layer; ``saves`` is the cost that it is meant to lower: ``macs`` or ``bytes``."""

    saves: str

    def menu(self, site: Site) -> Menu:
        """What can be chosen."""
        ...

    def price(self, site: Site, ranks: Counts) -> Price:
        """What factors with these ranks (candidates, ranks) cost."""
        ...

    def vbmf(self, site: Site) -> tuple[int, ...]:
        """Ranks by variational Bayes, at least 1."""
        ...

    def uniform(self, site: Site, rank: int) -> tuple[int, ...]:
        """The same rank everywhere, where the layer has so much."""
        ...

    def build(self, site: Site, ranks: tuple[int, ...]) -> Built:
        """The layer with these ranks."""
        ...


@dataclasses.dataclass(frozen=True)
class Metric:
    """How much an error dW (O, D) of a layer matters: ||left dW right||^2, D = I kh kw.

    Attributes:
        left: (O, O), symmetric and of full rank.
        right: (D, D), too.
        left_inverse, right_inverse: their inverses.
        channels, channels_inverse: (I, I), of ``right`` with all positions of the kernel taken as one.
    """

    left: Matrix
    right: Matrix
    left_inverse: Matrix
    right_inverse: Matrix
    channels: Matrix
    channels_inverse: Matrix

    def tensor(self, weight: Matrix) -> Matrix:
        """``left`` x weight x ``channels``, (O, I, kh, kw): its squared norm is what losing the layer costs."""
        made: Matrix = np.einsum("po,oihw,ij->pjhw", self.left, weight, self.channels, optimize=True)
        return made


#: Metric of a layer, or None where errors of all weights matter alike.
Metrics = Callable[[Site], Metric | None]


def no_metric(site: Site) -> None:
    """All errors matter alike."""


def candidates(full: int, round_to: int = 1) -> Counts:
    """Ranks from 1 to ``full``, at most :data:`GRID`, multiples of ``round_to`` where there are any."""
    step = round_to if full >= round_to else 1
    ranks = np.arange(step, full + 1, step, dtype=np.int64)
    if len(ranks) > GRID:
        ranks = ranks[np.unique(np.geomspace(1, len(ranks), GRID).round().astype(int) - 1)]
    return ranks if ranks[-1] == full else np.append(ranks, full)


def dense(stages: list[tuple[Counts, int]], site: Site) -> Price:
    """The price of stages given as (weights, positions)."""
    params = np.sum([weights for weights, _ in stages], axis=0)
    macs = np.sum([weights * positions for weights, positions in stages], axis=0)
    return Price(params, macs, params * site.layer.weight.element_size())
