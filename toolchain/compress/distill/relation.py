"""Distillation on relations between samples of a batch: distances, angles, similarities. The last pair of layers."""

from __future__ import annotations

import math
from typing import Self

import torch
from torch.nn import functional

from toolchain.compress.distill.maps import embedding
from toolchain.compress.distill.term import Seen, Setting, Term
from toolchain.frontend.train.feed import Batch

#: Angles are compared among this many samples of a batch at most: their number grows with its cube.
ANGLED = 128


def distances(vectors: torch.Tensor) -> torch.Tensor:
    """Euclidean distances (N, N) of vectors (N, D) in units of their mean over different samples; 0 on the diagonal."""
    squares = (vectors[:, None] - vectors[None]).square().sum(2)
    count = len(vectors)
    off = ~torch.eye(count, dtype=torch.bool, device=vectors.device)
    found = torch.where(off, squares.clamp(min=1e-12).sqrt(), 0.0)
    return found / (found.sum() / max(count * (count - 1), 1)).clamp(min=1e-12)


def angles(vectors: torch.Tensor) -> torch.Tensor:
    """cos of the angle at sample j between i and k: (N, N, N), indexed [j, i, k], of vectors (N, D)."""
    rays = functional.normalize(vectors[None] - vectors[:, None], dim=2)
    return rays @ rays.transpose(1, 2)


class LastPair(Term):
    """A term on the last pair of layers."""

    name = ""

    @classmethod
    def build(cls, setting: Setting) -> Self:
        """See :class:`Term`."""
        setting.features(cls.name)
        return cls()


class Relational(LastPair):
    """Huber losses on :func:`distances` (weight 25) and :func:`angles` (weight 50) of the embeddings.

    Means over pairs of different samples, and over triplets of different samples. Neither changes when all
    embeddings are scaled, shifted or rotated.

    Source: Park et al. 2019, *Relational Knowledge Distillation*, arXiv:1904.05068, equations 5 to 9.
    """

    name = "rkd"

    def __init__(self, distance: float = 25.0, angle: float = 50.0) -> None:
        super().__init__()
        self.distance, self.angle = distance, angle

    def extra_repr(self) -> str:
        """For ``repr``."""
        return f"distance={self.distance}, angle={self.angle}"

    def forward(self, student: Seen, teacher: Seen, batch: Batch) -> torch.Tensor:
        """See :class:`Term`."""
        s, t = embedding(student.features[-1]), embedding(teacher.features[-1])
        pairs = max(len(s) * (len(s) - 1), 1)
        by_distance = functional.smooth_l1_loss(distances(s), distances(t), reduction="sum") / pairs
        return self.distance * by_distance + self.angle * _angle_loss(angles(s[:ANGLED]), angles(t[:ANGLED]))


def _angle_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """The mean over j, i, k that all differ."""
    count = len(student)
    same = torch.eye(count, dtype=torch.bool, device=student.device)
    losses = functional.smooth_l1_loss(student, teacher, reduction="none")
    different = torch.where(same[:, :, None] | same[:, None] | same[None], 0.0, losses)
    return different.sum() / max(count * (count - 1) * (count - 2), 1)


def similarities(features: torch.Tensor) -> torch.Tensor:
    """(N, N): the rows of A A^T, each of length 1, where A holds each sample's features (N, …) as a row."""
    rows = features.float().flatten(1)
    return functional.normalize(rows @ rows.T, dim=1)


class SimilarityPreserving(LastPair):
    """||G_t - G_s||_F^2 / N^2 of the :func:`similarities`.

    Source: Tung & Mori 2019, *Similarity-Preserving Knowledge Distillation*, arXiv:1907.09682, equations 1 to 4.
    """

    name = "sp"
    weight = 3000.0

    def forward(self, student: Seen, teacher: Seen, batch: Batch) -> torch.Tensor:
        """See :class:`Term`."""
        return functional.mse_loss(similarities(student.features[-1]), similarities(teacher.features[-1]))


def correlations(vectors: torch.Tensor, gamma: float = 0.4, order: int = 2) -> torch.Tensor:
    """(N, N): the Gaussian kernel exp(-gamma |x - y|^2) of vectors (N, D) of length 1, as a Taylor series.

    exp(-2 gamma) times the sum over p up to ``order`` of (2 gamma)^p / p! (x . y)^p.
    """
    unit = functional.normalize(vectors, dim=1)
    cosines = unit @ unit.T
    series = [(2 * gamma * cosines) ** p / math.factorial(p) for p in range(order + 1)]
    return math.exp(-2 * gamma) * torch.stack(series).sum(0)


class CorrelationCongruence(LastPair):
    """Mean of (C_s - C_t)^2 over all pairs of samples; C are the :func:`correlations` of the embeddings.

    Source: Peng et al. 2019, *Correlation Congruence for Knowledge Distillation*, arXiv:1904.01802,
    equations 5 and 10 (gamma 0.4, second order).
    """

    name = "cc"
    weight = 50.0

    def forward(self, student: Seen, teacher: Seen, batch: Batch) -> torch.Tensor:
        """See :class:`Term`."""
        s, t = (correlations(embedding(seen.features[-1])) for seen in (student, teacher))
        return functional.mse_loss(s, t)
