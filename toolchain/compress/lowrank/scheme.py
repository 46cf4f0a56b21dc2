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
        errors: (candidates,): squared error, as a share of the layer, or in units of the loss where there is data.
        params, macs, bytes: (candidates,): weights, multiply-accumulates of one inference, stored bytes.
    """

    ranks: Counts
    errors: Matrix
    params: Counts
    macs: Counts
    bytes: Counts

    def cost(self, kind: str) -> Counts:
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
    """A way to factorise a layer."""

    def menu(self, site: Site) -> Menu:
        """All that can be chosen, ranks above those of the layer included."""
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
        channels: (I, I), what is left of ``right`` when all positions of the kernel are taken together.
    """

    left: Matrix
    right: Matrix
    left_inverse: Matrix
    right_inverse: Matrix
    channels: Matrix


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


def weighed(stages: list[tuple[Counts, int]], site: Site) -> tuple[Counts, Counts, Counts]:
    """Parameters, multiply-accumulates and bytes of stages given as (weights, positions)."""
    params = np.sum([weights for weights, _ in stages], axis=0)
    macs = np.sum([weights * positions for weights, positions in stages], axis=0)
    return params, macs, params * site.layer.weight.element_size()
