"""The loss of a distillation: the task's and the terms', from one or several teachers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from toolchain.compress.distill.modes import fuse
from toolchain.compress.distill.taps import Taps
from toolchain.compress.distill.teachers import Guide
from toolchain.compress.distill.term import Seen, Term
from toolchain.frontend.train.feed import Batch


class Distillation(torch.nn.Module):  # type: ignore[misc]
    """(1 - alpha) * task + alpha * sum of weight * term; see ``toolchain/compress/distill/__init__.py``.

    Args:
        task: the loss of the task; not computed where ``alpha`` is 1.
        alpha: weight of the distillation.
        guides: the teachers.
        taps: of the student: one for each teacher, its layers in the order of that teacher's pairs.
        fused: terms that see outputs: one for all teachers.
        inner: terms that see features: a list for each teacher; their mean over the teachers counts.
        by_confidence: outputs are fused by confidence.
        note: what else the run depends on, for ``repr``.
    """

    def __init__(
        self,
        task: Any,
        alpha: float,
        guides: Sequence[Guide],
        taps: Sequence[Taps],
        *,
        fused: Sequence[Term],
        inner: Sequence[Sequence[Term]],
        by_confidence: bool = False,
        note: str = "",
    ) -> None:
        super().__init__()
        self.task, self.alpha, self.note, self.by_confidence = task, alpha, note, by_confidence
        self.fused = torch.nn.ModuleList(fused)
        self.inner = torch.nn.ModuleList(torch.nn.ModuleList(terms) for terms in inner)
        self._guides, self._taps = tuple(guides), tuple(taps)

    @property
    def captured(self) -> bool:
        """Whether all parts can be recorded as a CUDA graph."""
        parts = [self.task, *self.fused, *(term for terms in self.inner for term in terms)]
        return all(getattr(part, "captured", False) for part in parts)

    @property
    def needs_labels(self) -> bool:
        """Whether the task's loss counts; terms that need labels say so when they are built."""
        return self.alpha < 1

    def extra_repr(self) -> str:
        """For ``repr``: teachers by the hash of their weights."""
        teachers = ", ".join(guide.digest for guide in self._guides)
        return f"alpha={self.alpha}, teachers=[{teachers}], by_confidence={self.by_confidence}, {self.note}"

    def forward(self, output: Any, batch: Batch) -> torch.Tensor:
        """A scalar in float32.

        Args:
            output: the student's, for ``batch``, with gradients.
            batch: what student and teachers get.
        """
        seen = [guide.look(batch.x) for guide in self._guides]
        own = [Seen(output, taps.take()) for taps in self._taps]
        with torch.autocast(batch.x.device.type, enabled=False):
            loss = self.alpha * self._distilled(own, seen, batch)
            if self.alpha < 1:
                loss = loss + (1 - self.alpha) * self.task(output, batch)
        return loss

    def _distilled(self, own: list[Seen], seen: list[Seen], batch: Batch) -> torch.Tensor:
        parts = []
        if len(self.fused):
            outputs = [teacher.output for teacher in seen]
            fused = Seen(fuse(outputs, batch.labels, by_confidence=self.by_confidence))
            parts += [term.weight * term(own[0], fused, batch) for term in self.fused]
        for student, teacher, terms in zip(own, seen, self.inner, strict=True):
            parts += [term.weight / len(seen) * term(student, teacher, batch) for term in terms]
        return torch.stack(parts).sum()
