"""Distillation on feature maps, position by position: hints, attention maps, activation boundaries."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch.nn import functional

from toolchain.compress.distill.maps import Projection
from toolchain.compress.distill.on_pairs import Channels, OnPairs
from toolchain.compress.distill.term import Seen, Setting
from toolchain.frontend.train.feed import Batch


class Regressed(OnPairs):
    """A term that maps the student's channels to the teacher's by a 1x1 convolution, trained along."""

    def __init__(self, indices: tuple[int, ...], channels: Channels) -> None:
        super().__init__(indices, channels)
        self.regressors = torch.nn.ModuleList(Projection(a, b) for a, b in channels)

    def regressed(self, student: Seen, teacher: Seen) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """r(F_s) and F_t of each pair, of the same shape."""
        both = zip(self.regressors, self.both(student, teacher), strict=True)
        return [(regressor(s), t) for regressor, (s, t) in both]


class FitNets(Regressed):
    """Mean of (r(F_s) - F_t)^2 over all values of the hint layer; r is a 1x1 convolution that is trained along.

    The hint is the middle pair; where the user named pairs, the mean over all of them. The paper trains up to the
    hint first and distils then; here both happen at once.

    Source: Romero et al. 2015, *FitNets: Hints for Thin Deep Nets*, arXiv:1412.6550, equation 3.
    """

    name: ClassVar[str] = "fitnets"
    weight = 100.0

    @classmethod
    def choose(cls, found: tuple[int, ...], setting: Setting) -> tuple[int, ...]:
        """The middle one, or all that the user named."""
        return found if setting.options.layers else (found[len(found) // 2],)

    def forward(self, student: Seen, teacher: Seen, batch: Batch) -> torch.Tensor:
        """See :class:`~toolchain.compress.distill.term.Term`."""
        return torch.stack([functional.mse_loss(s, t) for s, t in self.regressed(student, teacher)]).mean()


def attention_map(features: torch.Tensor) -> torch.Tensor:
    """(N, positions): the sum of squares over the channels of (N, C, …), each sample's map of length 1.

    It stays the same when a sample's features are scaled, or its channels are permuted.
    """
    return functional.normalize(features.float().square().sum(1).flatten(1), dim=1)


class Attention(OnPairs):
    """Mean of (Q_s - Q_t)^2 over samples and positions, summed over the pairs; Q is the :func:`attention_map`.

    Source: Zagoruyko & Komodakis 2017, *Paying More Attention to Attention*, arXiv:1612.03928, equation 2
    (activation-based, sum of squares).
    """

    name: ClassVar[str] = "attention"
    maps: ClassVar[bool] = True
    weight = 1000.0

    def forward(self, student: Seen, teacher: Seen, batch: Batch) -> torch.Tensor:
        """See :class:`~toolchain.compress.distill.term.Term`."""
        both = self.both(student, teacher)
        return torch.stack([functional.mse_loss(attention_map(s), attention_map(t)) for s, t in both]).sum()


def boundary_loss(student: torch.Tensor, active: torch.Tensor, margin: float = 1.0) -> torch.Tensor:
    """Mean squared hinge that puts a student's neurons on the teacher's side of their boundary.

    Args:
        student: what comes before the activation.
        active: the same shape, bool: where the teacher's neuron is active.
        margin: how far beyond the boundary is far enough.
    """
    distance = torch.where(active, margin - student, margin + student)
    return distance.clamp(min=0).square().mean()


class Boundaries(Regressed):
    """:func:`boundary_loss` of r(F_s) against F_t > 0, summed over the pairs; r is a trained 1x1 convolution.

    The teacher's layers are taken after their activation: it has the sign of what came before for ReLU and its
    kin (SiLU, GELU, hard swish, leaky ReLU), not for sigmoids. A mean over all values, where the paper sums.

    Source: Heo et al. 2019, *Knowledge Transfer via Distillation of Activation Boundaries Formed by Hidden
    Neurons*, arXiv:1811.03233, equation 5.
    """

    name: ClassVar[str] = "ab"

    def forward(self, student: Seen, teacher: Seen, batch: Batch) -> torch.Tensor:
        """See :class:`~toolchain.compress.distill.term.Term`."""
        return torch.stack([boundary_loss(s, t > 0) for s, t in self.regressed(student, teacher)]).sum()
