"""Self-supervised distillation by the singular vectors of feature maps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch.nn import functional

from toolchain.compress.distill.maps import matched
from toolchain.compress.distill.on_pairs import Channels, OnPairs
from toolchain.compress.distill.term import Seen
from toolchain.frontend.train.feed import Batch

#: Squared gap of two eigenvalues, in units of their sum, below which gradients are damped.
DAMPING = 1e-6
#: Vectors of the teacher's for each map, and how many more of the student's are candidates for each.
VECTORS, SPARE = 1, 3


class _Eigenvectors(torch.autograd.Function):  # type: ignore[misc]
    """Eigenvalues and eigenvectors of symmetric matrices, the largest first.

    The gradient of an eigenvector divides by gaps d of eigenvalues; here by (d^2 + DAMPING) / d, so that it
    stays finite where they coincide.
    """

    @staticmethod
    def forward(ctx: Any, matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, vectors = torch.linalg.eigh(matrix)
        values, vectors = values.flip(-1), vectors.flip(-1)
        ctx.save_for_backward(values, vectors)
        return values, vectors

    @staticmethod
    def backward(ctx: Any, values_gradient: torch.Tensor, vectors_gradient: torch.Tensor) -> torch.Tensor:
        values, vectors = ctx.saved_tensors
        turned = vectors.transpose(-2, -1)
        gaps = values[..., None, :] - values[..., :, None]
        inner = turned @ vectors_gradient * (gaps / (gaps.square() + DAMPING))
        inner = inner + torch.diag_embed(values_gradient)
        gradient = vectors @ inner @ turned
        return (gradient + gradient.transpose(-2, -1)) / 2


def truncated(features: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first singular values and right singular vectors of each sample's (positions, C) matrix.

    By the eigenvectors of the smaller Gram matrix. The matrices are scaled to a Frobenius norm of 1 first.

    Args:
        features: (N, C, positions).
        count: how many; at most the smaller axis gives as many.

    Returns:
        Singular values (N, k), largest first, and vectors (N, C, k), whose signs mean nothing.
    """
    matrix = features / features.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None]
    wide = matrix.shape[1] > matrix.shape[2]
    side = matrix.transpose(1, 2) if wide else matrix
    values, vectors = _Eigenvectors.apply(torch.nan_to_num(side @ side.transpose(1, 2)))
    values = values[:, :count].clamp(min=1e-12).sqrt()
    vectors = vectors[:, :, :count]
    if wide:
        vectors = functional.normalize(matrix @ vectors, dim=1)
    return values, vectors + 0 * features.sum()  # what is not finite stays visible


def aligned(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """For each of the teacher's vectors the student's nearest in direction, turned to the same side.

    Args:
        student: (N, C, candidates), of length 1.
        teacher: (N, C, k), of length 1.

    Returns:
        (N, C, k).
    """
    cosines = student.transpose(1, 2) @ teacher
    best = cosines.abs().argmax(1, keepdim=True)
    signs = torch.sign(cosines.gather(1, best)).detach()
    return student.gather(2, best.expand(-1, student.shape[1], -1)) * signs


def relation(front: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
    """exp(-(front[n, i, k] - back[n, j, k])^2 / 8): (N, C1, C2, k) of vectors (N, C1, k) and (N, C2, k)."""
    return torch.exp(-(front[:, :, None] - back[:, None]).square() / 8)


class SingularVectors(OnPairs):
    """Squared difference of the relations between neighbouring layers' singular vectors.

    Each layer's map is its first right singular vector (times the teacher's singular values, of length 1); their
    :func:`relation` over a pair of neighbouring layers is compared, summed over all its values, mean over the
    samples. Where channels differ, a trained 1x1 convolution widens the student's.

    Source: Lee, Kim & Song 2018, *Self-supervised Knowledge Distillation Using Singular Value Decomposition*,
    ECCV 2018, arXiv:1807.06819, section 3.
    """

    captured = False  # the solver waits for what it finds
    name: ClassVar[str] = "svd_ss"
    maps: ClassVar[bool] = True
    least: ClassVar[int] = 2
    weight = 100.0

    def __init__(self, indices: tuple[int, ...], channels: Channels) -> None:
        super().__init__(indices, channels)
        self.matches = torch.nn.ModuleList(matched(a, b) for a, b in channels)

    def forward(self, student: Seen, teacher: Seen, batch: Batch) -> torch.Tensor:
        """See :class:`~toolchain.compress.distill.term.Term`."""
        zipped = zip(self.matches, self.both(student, teacher), strict=True)
        layers = [_decomposed(match(s), t) for match, (s, t) in zipped]
        losses = []
        for (s1, t1), (s2, t2) in pairwise(layers):
            losses.append((relation(s1, s2) - relation(t1, t2)).square().sum() / len(s1))
        return torch.stack(losses).sum()


def _decomposed(student: torch.Tensor, teacher: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both maps' vectors (N, C, VECTORS), side by side, times the teacher's singular values.

    A teacher's vector points where its entries have a positive sum, as all entries have behind a ReLU.
    """
    values, t = truncated(teacher.flatten(2), VECTORS)
    t = t * torch.where(t.sum(1, keepdim=True) < 0, -1.0, 1.0)
    _, s = truncated(student.flatten(2), VECTORS + SPARE)
    scale = functional.normalize(values, dim=1)[:, None]
    return aligned(s, t) * scale, t * scale
