"""Contrastive distillation with a memory of every training sample's embedding."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch.nn import functional

from profiles.errors import DataError
from profiles.runner import Array
from toolchain.compress.distill.maps import embedding
from toolchain.compress.distill.term import Seen, Setting, Term
from toolchain.frontend.train.feed import Batch

#: Width of the embeddings, negatives per step, temperature, and what of a memory stays at an update.
WIDTH, NEGATIVES, TEMPERATURE, MOMENTUM = 128, 4096, 0.07, 0.5


def noise_contrast(positive: torch.Tensor, negative: torch.Tensor, valid: torch.Tensor, log_noise: Any) -> torch.Tensor:
    """-log h(positive) - M mean of log(1 - h(negative)), mean over the samples, with h = e^g / (e^g + M Z).

    Args:
        positive: (N,): g = v . w / temperature, of each sample with itself in the other model.
        negative: (N, M): the same with other samples.
        valid: (N, M): which of them count.
        log_noise: log(M Z), where Z is the mean of e^g over negatives.
    """
    missed = functional.logsigmoid(log_noise - negative)
    share = (missed * valid).sum(1) / valid.sum(1).clamp(min=1)
    return -(functional.logsigmoid(positive - log_noise) + negative.shape[1] * share).mean()


class Contrast(Term):
    """The student's embedding tells its own sample's teacher embedding from others', and the other way round.

    Embeddings are linear maps of the last pair of layers to 128 values of length 1, trained along. A memory
    holds each training sample's last embedding of either model (momentum 0.5); it gives the negatives: M = 4096
    in every step (or as many as there are samples), the same ones for the whole batch, less those of a sample's
    own class. The paper draws 16384 for each sample. Z is estimated in the first step and then kept.

    Source: Tian, Krishnan & Isola 2020, *Contrastive Representation Distillation*, arXiv:1910.10699,
    equations 17 to 19.
    """

    captured = False  # it remembers something of every sample
    weight = 0.8

    def __init__(self, channels: tuple[int, int], samples: int, labels: Array | None, width: int = WIDTH) -> None:
        super().__init__()
        self.maps = torch.nn.ModuleList(torch.nn.Linear(count, width) for count in channels)
        self.samples, self.negatives = samples, min(NEGATIVES, samples)
        own = torch.arange(samples) if labels is None else torch.from_numpy(labels)
        self.register_buffer("group", own, persistent=False)
        memories = functional.normalize(torch.randn(2, samples, width), dim=2)
        self.register_buffer("memories", memories)
        self.register_buffer("log_z", torch.zeros(2))
        self.register_buffer("known", torch.zeros((), dtype=torch.bool))

    @classmethod
    def build(cls, setting: Setting) -> Self:
        """See :class:`Term`."""
        setting.features("crd")
        if setting.samples < 2:
            raise DataError("'crd' needs at least two training samples", seen=str(setting.samples))
        return cls(setting.pairs[-1].channels, setting.samples, setting.labels)

    def extra_repr(self) -> str:
        """For ``repr``."""
        return f"samples={self.samples}, negatives={self.negatives}"

    def forward(self, student: Seen, teacher: Seen, batch: Batch) -> torch.Tensor:
        """See :class:`Term`."""
        raw = embedding(student.features[-1]), embedding(teacher.features[-1])
        vectors = [functional.normalize(to(x), dim=1) for to, x in zip(self.maps, raw, strict=True)]
        device = self.memories.device
        rows = torch.from_numpy(batch.indices).to(device, non_blocking=True)
        drawn = torch.randint(self.samples, (self.negatives,), device=device)
        valid = self.group[rows][:, None] != self.group[drawn][None]
        scores = [self._scores(vectors[own], 1 - own, rows, drawn) for own in (0, 1)]
        self._estimate([negative for _, negative in scores], valid)
        noise = self.log_z + math.log(self.negatives)
        losses = [noise_contrast(*scores[own], valid, noise[own]) for own in (0, 1)]
        if self.training:
            self._remember(vectors, rows)
        return losses[0] + losses[1]

    def _scores(
        self, vectors: torch.Tensor, other: int, rows: torch.Tensor, drawn: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        memory = self.memories[other]
        positive = (vectors * memory[rows]).sum(1) / TEMPERATURE
        return positive, vectors @ memory[drawn].T / TEMPERATURE

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _estimate(self, negatives: list[torch.Tensor], valid: torch.Tensor) -> None:
        """log Z of both directions, from the first step's negatives."""
        masked = [torch.where(valid, values, -torch.inf) for values in negatives]
        found = torch.stack([values.flatten().logsumexp(0) for values in masked]) - valid.sum().clamp(min=1).log()
        found = torch.nan_to_num(found, neginf=0.0)
        self.log_z.copy_(torch.where(self.known, self.log_z, found))
        self.known.fill_(True)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _remember(self, vectors: list[torch.Tensor], rows: torch.Tensor) -> None:
        for memory, values in zip(self.memories, vectors, strict=True):
            memory[rows] = functional.normalize(MOMENTUM * memory[rows] + (1 - MOMENTUM) * values, dim=1)
