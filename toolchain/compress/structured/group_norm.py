"""Group norm: everything that depends on a channel, taken together.

Fang, Ma, Song, Mi & Wang 2023, "DepGraph: Towards Any Structural Pruning", arXiv:2301.12900.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from toolchain.compress.context import Context
from toolchain.compress.passes import Outcome
from toolchain.compress.structured.criterion import ByGroup
from toolchain.compress.structured.run import prune_by
from toolchain.compress.structured.views import everything, on
from toolchain.frontend.train.hooks import Hook, TrainingState
from toolchain.project.recipe import Prune, StepOptions

if TYPE_CHECKING:
    from toolchain.compress.structured.groups import Group

#: How much stronger the least important channel is shrunk than the most important one: 2 to this power (the paper's 4).
ALPHA = 4.0


def group_norm(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Remove the channels with the least norm over all weights that depend on them.

    Section 3.3: I_k = the sum of ||w[k]||^2 over all members w of group g, those that read the channel included.
    With ``sparse_epochs``, the loss gets lambda x the sum of gamma_k I_k (equation 4) with lambda = ``strength`` and
    gamma_k = 2^(alpha (I_max - I_k) / (I_max - I_min)), alpha = 4, anew in every step.
    """
    return prune_by(GroupNorm(), model, options, context)


class GroupPenalty(Hook):
    """Adds strength x the sum of gamma_k I_k to the loss; see :func:`group_norm`."""

    captured = True

    def __init__(self, groups: Sequence[Group], strength: float) -> None:
        self.groups, self.strength = list(groups), strength

    def __repr__(self) -> str:
        return f"GroupPenalty({[group.name for group in self.groups]}, strength={self.strength}, alpha={ALPHA})"

    def start(self, state: TrainingState) -> None:
        """Move indices to where the training is."""
        self.groups = on(self.groups, state.device)

    def penalty(self, state: TrainingState) -> Any:
        """See the class."""
        parts = [squared_norms(group) for group in self.groups]
        return self.strength * torch.stack([(shrinkage(part.detach()) * part).sum() for part in parts]).sum()


class GroupNorm(ByGroup):
    """See :func:`group_norm`."""

    def __init__(self) -> None:
        super().__init__(squared_norms)

    def train(
        self, model: torch.nn.Module, groups: Sequence[Group], options: Prune, context: Context
    ) -> tuple[str, ...]:
        """Group-lasso training."""
        hook = GroupPenalty(groups, options.strength)
        purpose = "the sparsity training of 'group_norm'"
        context.fit(model, purpose, epochs=options.sparse_epochs, lr=options.lr, hooks=[hook])
        return ()


def squared_norms(group: Group) -> torch.Tensor:
    """I_k of every channel, (channels,), differentiable."""
    return everything(group).float().square().sum(1)


def shrinkage(importance: torch.Tensor) -> torch.Tensor:
    """gamma_k, (channels,), from 1 for the most important channel to 2^alpha for the least; 1 where all are equal."""
    most, least = importance.max(), importance.min()
    return torch.exp2(ALPHA * (most - importance) / (most - least).clamp_min(torch.finfo(importance.dtype).tiny))
