"""Distillation on how features are distributed: neuron selectivity, variational information."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch.nn import functional

from toolchain.compress.distill.maps import Projection
from toolchain.compress.distill.on_pairs import Channels, OnPairs
from toolchain.compress.distill.term import Seen
from toolchain.frontend.train.feed import Batch


def polynomial_mmd(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Squared maximum mean discrepancy between two sets of channels, with the kernel k(x, y) = (x . y)^2.

    mean k(t, t') + mean k(s, s') - 2 mean k(t, s) over all pairs of channels, and over the samples. A channel
    is its map of length 1, so the numbers of channels may differ.

    Args:
        student: (N, channels, positions).
        teacher: (N, other channels, the same positions).
    """
    s, t = (functional.normalize(maps, dim=2) for maps in (student, teacher))

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a @ b.transpose(1, 2)).square().mean()

    return kernel(t, t) + kernel(s, s) - 2 * kernel(s, t)


class Selectivity(OnPairs):
    """:func:`polynomial_mmd` between the channels of student and teacher, summed over the pairs.

    Source: Huang & Wang 2017, *Like What You Like: Knowledge Distill via Neuron Selectivity Transfer*,
    arXiv:1707.01219, equations 5 and 7 (d = 2, c = 0).
    """

    name: ClassVar[str] = "nst"
    maps: ClassVar[bool] = True
    weight = 50.0

    def forward(self, student: Seen, teacher: Seen, batch: Batch) -> torch.Tensor:
        """See :class:`~toolchain.compress.distill.term.Term`."""
        both = self.both(student, teacher)
        return torch.stack([polynomial_mmd(s.flatten(2), t.flatten(2)) for s, t in both]).sum()


class Guess(torch.nn.Module):  # type: ignore[misc]
    """A Gaussian guess of the teacher's features: a mean for each value, and a variance for each channel.

    Means come from the student's features by two 1x1 convolutions. The variance is softplus(a) + 1e-5; it starts
    at 5.
    """

    def __init__(self, inputs: int, outputs: int, variance: float = 5.0) -> None:
        super().__init__()
        self.mean = torch.nn.Sequential(Projection(inputs, outputs), torch.nn.ReLU(), Projection(outputs, outputs))
        start = torch.tensor(variance - 1e-5).expm1().log()
        self.raw = torch.nn.Parameter(start.expand(outputs).clone())

    @property
    def variance(self) -> torch.Tensor:
        """Of each channel, above 0."""
        return functional.softplus(self.raw) + 1e-5

    def forward(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """Mean of (log v + (t - mean)^2 / v) / 2: the negative log-likelihood less its constant."""
        variance = self.variance.reshape(1, -1, *[1] * (teacher.ndim - 2))
        return 0.5 * (variance.log() + (teacher - self.mean(student)).square() / variance).mean()


class Information(OnPairs):
    """The negative log-likelihood of the teacher's features under a :class:`Guess`, summed over the pairs.

    Source: Ahn et al. 2019, *Variational Information Distillation for Knowledge Transfer*, arXiv:1904.05835,
    equations 5 and 6.
    """

    name: ClassVar[str] = "vid"

    def __init__(self, indices: tuple[int, ...], channels: Channels) -> None:
        super().__init__(indices, channels)
        self.guesses = torch.nn.ModuleList(Guess(a, b) for a, b in channels)

    def forward(self, student: Seen, teacher: Seen, batch: Batch) -> torch.Tensor:
        """See :class:`~toolchain.compress.distill.term.Term`."""
        both = zip(self.guesses, self.both(student, teacher), strict=True)
        return torch.stack([guess(s, t) for guess, (s, t) in both]).sum()
