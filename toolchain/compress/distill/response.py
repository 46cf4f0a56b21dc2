"""Distillation on outputs: Hinton's, decoupled, and with standardised logits."""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from torch.nn import functional

from profiles.errors import DataError
from toolchain.compress.distill.term import Seen, Setting, Term, outputs_of
from toolchain.frontend.train.feed import Batch


def standardise(logits: torch.Tensor) -> torch.Tensor:
    """Z-scores of logits (N, K) over the classes: (z - mean) / (standard deviation with 1/K).

    Source: Sun et al. 2024, *Logit Standardization in Knowledge Distillation*, arXiv:2403.01427, algorithm 1.
    """
    deviation = logits.std(dim=1, correction=0, keepdim=True)
    return (logits - logits.mean(dim=1, keepdim=True)) / (deviation + 1e-7)


def soft_divergence(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)), mean over the samples, of logits (N, K).

    Its gradient by a student's logit is T (softmax(student / T) - softmax(teacher / T)) / N.

    Source: Hinton, Vinyals & Dean 2015, *Distilling the Knowledge in a Neural Network*, arXiv:1503.02531, section 2.
    """
    log_p = functional.log_softmax(teacher / temperature, dim=1)
    log_q = functional.log_softmax(student / temperature, dim=1)
    return temperature**2 * functional.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


class Kd(Term):
    """Hinton's distillation of class logits; other outputs by their mean squared difference.

    The squared error on outputs is that of Ba & Caruana 2014, *Do Deep Nets Really Need to be Deep?*,
    arXiv:1312.6184, and serves regression, detection and reconstruction. With ``logit_std`` beside it,
    the logits are standardised first.
    """

    alpha: ClassVar[float] = 0.9
    on_outputs: ClassVar[bool] = True

    def __init__(self, temperature: float, *, logits: bool = True, standard: bool = False) -> None:
        super().__init__()
        self.temperature, self.logits, self.standard = temperature, logits, standard
        self.weight = 10.0 if standard else 1.0

    @classmethod
    def build(cls, setting: Setting) -> Self:
        """See :class:`Term`."""
        setting.same_outputs("kd")
        standard = "logit_std" in setting.options.losses
        return cls(setting.options.temperature, logits=setting.logits, standard=standard)

    def extra_repr(self) -> str:
        """For ``repr``."""
        return f"temperature={self.temperature}, logits={self.logits}, standard={self.standard}"

    def forward(self, student: Seen, teacher: Seen, batch: Batch) -> torch.Tensor:
        """See :class:`Term`."""
        both = zip(outputs_of(student.output), outputs_of(teacher.output), strict=True)
        if not self.logits:
            return torch.stack([functional.mse_loss(s.float(), t.float()) for s, t in both]).mean()
        s, t = (values.float() for values in next(both))
        if self.standard:
            s, t = standardise(s), standardise(t)
        return soft_divergence(s, t, self.temperature)


class LogitStd(Kd):
    """``kd`` on standardised logits, where neither ``kd`` nor ``dkd`` is there to be standardised."""

    @classmethod
    def build(cls, setting: Setting) -> Self:
        """See :class:`Term`."""
        setting.need_logits("logit_std")
        return cls(setting.options.temperature, standard=True)


def decoupled(
    student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The two parts of Hinton's loss, and how they make it up.

    KL(p || q) = TCKD + (1 - p_t) NCKD: the divergence of (target, all others) and, among the others, of
    their distribution.

    Args:
        student, teacher: logits (N, K), K of at least 2.
        labels: (N,), the target classes t.
        temperature: T.

    Returns:
        TCKD, NCKD and the teacher's p_t, each (N,).
    """
    classes = student.shape[1]
    others = torch.arange(classes - 1, device=labels.device).expand(len(labels), -1)
    others = others + (others >= labels[:, None])
    log_q, log_q_rest, rest_q = _split(student / temperature, labels, others)
    log_p, log_p_rest, rest_p = _split(teacher / temperature, labels, others)
    tckd = log_p.exp() * (log_p - log_q) + log_p_rest.exp() * (log_p_rest - log_q_rest)
    nckd = (rest_p.exp() * (rest_p - rest_q)).sum(1)
    return tckd, nckd, log_p.exp()


def _split(
    logits: torch.Tensor, labels: torch.Tensor, others: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """log p of the target (N,), of all others together (N,), and of each other given that it is one (N, K - 1)."""
    log = functional.log_softmax(logits, dim=1)
    rest = log.gather(1, others)
    together = rest.logsumexp(1)
    return log.gather(1, labels[:, None])[:, 0], together, rest - together[:, None]


class Dkd(Term):
    """T^2 (a TCKD + b NCKD), mean over the samples, with a = 1 and b = 8.

    Without the paper's warm-up of the first epochs: the learning rate has one.

    Source: Zhao et al. 2022, *Decoupled Knowledge Distillation*, arXiv:2203.08679, equation 7.
    """

    on_outputs: ClassVar[bool] = True

    def __init__(self, temperature: float, *, a: float = 1.0, b: float = 8.0, standard: bool = False) -> None:
        super().__init__()
        self.temperature, self.a, self.b, self.standard = temperature, a, b, standard
        self.weight = 9.0 if standard else 1.0

    @classmethod
    def build(cls, setting: Setting) -> Self:
        """See :class:`Term`."""
        setting.need_logits("dkd")
        if setting.labels is None:
            raise DataError("'dkd' needs labels", seen="training samples without labels", next_step="use 'kd'")
        return cls(setting.options.temperature, standard="logit_std" in setting.options.losses)

    def extra_repr(self) -> str:
        """For ``repr``."""
        return f"temperature={self.temperature}, a={self.a}, b={self.b}, standard={self.standard}"

    def forward(self, student: Seen, teacher: Seen, batch: Batch) -> torch.Tensor:
        """See :class:`Term`."""
        s, t = student.output.float(), teacher.output.float()
        if self.standard:
            s, t = standardise(s), standardise(t)
        tckd, nckd, _ = decoupled(s, t, batch.labels, self.temperature)
        return self.temperature**2 * (self.a * tckd + self.b * nckd).mean()
