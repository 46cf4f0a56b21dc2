"""Distillation on the graph of a batch's samples, and on how it changes from layer to layer."""

from __future__ import annotations

from itertools import pairwise
from typing import Self

import torch
from torch.nn import functional

from toolchain.compress.distill.maps import embedding
from toolchain.compress.distill.term import Seen, Setting, Term, outputs_of
from toolchain.frontend.train.feed import Batch


def edges(vectors: torch.Tensor) -> torch.Tensor:
    """Squared distances (N, N) of vectors (N, D), in units of their mean over different samples."""
    squares = (vectors[:, None] - vectors[None]).square().sum(2)
    count = len(vectors)
    return squares / (squares.sum() / max(count * (count - 1), 1)).clamp(min=1e-12)


class InstanceGraph(Term):
    """Three mean squared differences between student and teacher, each with weight 1.

    - vertices: the outputs, where both have the same shapes (the paper: the logits);
    - edges: :func:`edges` among the samples' embeddings, summed over the pairs of layers;
    - transformations: how the edges change from one pair of layers to the next, summed.

    Distances are in units of their mean, so that layers with different channels compare. The paper's vertex
    transformation needs layers of equal width, and is left out.

    Source: Liu et al. 2019, *Knowledge Distillation via Instance Relationship Graph*, CVPR 2019, section 3.
    """

    def __init__(self, indices: tuple[int, ...], *, vertices: bool) -> None:
        super().__init__()
        self.indices, self.vertices = indices, vertices

    @classmethod
    def build(cls, setting: Setting) -> Self:
        """See :class:`Term`."""
        same = setting.student_outputs == setting.teacher_outputs
        return cls(setting.features("irg"), vertices=same)

    def extra_repr(self) -> str:
        """For ``repr``."""
        return f"pairs={self.indices}, vertices={self.vertices}"

    def forward(self, student: Seen, teacher: Seen, batch: Batch) -> torch.Tensor:
        """See :class:`Term`."""
        s, t = ([edges(embedding(seen.features[index])) for index in self.indices] for seen in (student, teacher))
        losses = [functional.mse_loss(a, b) for a, b in zip(s, t, strict=True)]
        for (s1, s2), (t1, t2) in zip(pairwise(s), pairwise(t), strict=True):
            losses.append(functional.mse_loss(s2 - s1, t2 - t1))
        if self.vertices:
            both = zip(outputs_of(student.output), outputs_of(teacher.output), strict=True)
            losses.append(torch.stack([functional.mse_loss(a.float(), b.float()) for a, b in both]).mean())
        return torch.stack(losses).sum()
