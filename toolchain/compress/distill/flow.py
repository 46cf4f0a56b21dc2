"""Distillation on the flow between layers: FSP matrices."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from torch.nn import functional

from toolchain.compress.distill.maps import matched, resize, same_size
from toolchain.compress.distill.on_pairs import Channels, OnPairs
from toolchain.compress.distill.term import Seen
from toolchain.frontend.train.feed import Batch


def flow_matrix(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """G[n, i, j]: the mean over positions of first[n, i] * second[n, j].

    Args:
        first: (N, C1, …).
        second: (N, C2, …) of the same spatial sizes or smaller; ``first`` is pooled to them.
    """
    a, b = resize(first, tuple(second.shape[2:])).flatten(2), second.float().flatten(2)
    return a @ b.transpose(1, 2) / b.shape[2]


class Flow(OnPairs):
    """Mean of (G_s - G_t)^2 over the matrices of all neighbouring pairs of layers, summed over these.

    Where student and teacher differ in channels, a 1x1 convolution that is trained along widens the student's:
    the paper asks for equal widths. Larger maps are pooled by means (the paper: by maxima).

    Source: Yim et al. 2017, *A Gift from Knowledge Distillation*, CVPR 2017, equations 1 and 2.
    """

    name: ClassVar[str] = "fsp"
    maps: ClassVar[bool] = True
    least: ClassVar[int] = 2
    weight = 50.0

    def __init__(self, indices: tuple[int, ...], channels: Channels) -> None:
        super().__init__(indices, channels)
        self.matches = torch.nn.ModuleList(matched(a, b) for a, b in channels)

    def forward(self, student: Seen, teacher: Seen, batch: Batch) -> torch.Tensor:
        """See :class:`~toolchain.compress.distill.term.Term`."""
        zipped = zip(self.matches, self.both(student, teacher), strict=True)
        both = [(match(s), t) for match, (s, t) in zipped]
        losses = []
        for (s1, t1), (s2, t2) in pairwise(both):
            losses.append(functional.mse_loss(_between(s1, s2), _between(t1, t2)))
        return torch.stack(losses).sum()


def _between(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return flow_matrix(*same_size(first, second))
