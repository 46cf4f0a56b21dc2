"""Ways to use the losses: several teachers at once or in turn, smaller images."""

from __future__ import annotations

import torch
from torch.nn import functional

from profiles.errors import ConfigError, UnsupportedError
from toolchain.compress.distill.term import outputs_of
from toolchain.project.recipe import Distill


def sequential(options: Distill, teachers: int) -> None:
    """Teachers one after the other; one without weights is an assistant, and learns from the one before it first.

    Source: Mirzadeh et al. 2020, *Improved Knowledge Distillation via Teacher Assistant*, arXiv:1902.03393.

    Raises:
        ConfigError: fewer than two teachers, or another mode for several.
    """
    _several("sequential", teachers)
    if other := {"multi_teacher", "confidence"} & set(options.losses):
        raise ConfigError(
            "several teachers are used in turn or at once", seen=f"'sequential' and '{min(other)}'", allowed="one"
        )


def multi_teacher(options: Distill, teachers: int) -> None:
    """Several teachers at once: losses on outputs see the mean of their outputs, other losses are averaged.

    Source: You et al. 2017, *Learning from Multiple Teacher Networks*, KDD 2017.

    Raises:
        ConfigError: fewer than two teachers.
    """
    _several("multi_teacher", teachers)


def confidence(options: Distill, teachers: int) -> None:
    """As :func:`multi_teacher`, each sample's teachers weighted by :func:`confidences`.

    Raises:
        ConfigError: fewer than two teachers.
    """
    _several("confidence", teachers)


def low_resolution(options: Distill, teachers: int) -> None:
    """The student sees smaller images than the teacher, by ``resolution``.

    Source: Zhu et al. 2019, *Low-Resolution Visual Recognition via Deep Feature Distillation*, ICASSP 2019;
    Ge et al. 2019, *Low-Resolution Face Recognition in the Wild via Selective Knowledge Distillation*,
    arXiv:1811.09998.

    Raises:
        ConfigError: no resolution.
    """
    if options.resolution is None:
        raise ConfigError(
            "'low_resolution' needs the student's resolution", seen="none", next_step="add resolution = 16"
        )


def _several(mode: str, teachers: int) -> None:
    if teachers < 2:
        raise ConfigError(
            f"'{mode}' needs at least two teachers",
            seen=str(teachers),
            next_step="teacher = [{ source = …, weights = … }, { source = …, weights = … }]",
        )


def confidences(outputs: list[torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
    """(teachers, N): how much each of K teachers counts for each sample.

    (1 - e^c_k / sum of e^c) / (K - 1), where c_k is the cross-entropy of teacher k with the label.

    Source: Zhang, Chen & Wang 2022, *Confidence-Aware Multi-Teacher Knowledge Distillation*, arXiv:2201.00007,
    equation 2. The paper weights the losses; here the logits.
    """
    losses = torch.stack([functional.cross_entropy(o.float(), labels, reduction="none") for o in outputs])
    return (1 - functional.softmax(losses, dim=0)) / (len(outputs) - 1)


def fuse(outputs: list[object], labels: torch.Tensor | None, *, by_confidence: bool) -> object:
    """Several teachers' outputs as one, in float32: the mean of each of their tensors, or logits by confidence.

    Raises:
        UnsupportedError: confidence without labels or class logits.
    """
    if len(outputs) == 1:
        return outputs[0]
    tensors = [outputs_of(output) for output in outputs]
    if not by_confidence:
        means = tuple(torch.stack([v.float() for v in values]).mean(0) for values in zip(*tensors, strict=True))
        return means[0] if len(means) == 1 else means
    logits = [values[0] for values in tensors]
    if labels is None or len(tensors[0]) != 1 or logits[0].ndim != 2:
        raise UnsupportedError("'confidence' needs class logits and labels", next_step="use 'multi_teacher'")
    weights = confidences(logits, labels)
    return (weights[:, :, None] * torch.stack([values.float() for values in logits])).sum(0)
