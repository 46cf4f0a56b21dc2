"""Network slimming: scales of batch normalisation, trained to be sparse.

Liu, Li, Shen, Huang, Yan & Zhang 2017, "Learning Efficient Convolutional Networks through Network Slimming",
arXiv:1708.06519.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from toolchain.compress.context import Context
from toolchain.compress.passes import Outcome
from toolchain.compress.structured.criterion import ByGroup
from toolchain.compress.structured.run import prune_by
from toolchain.compress.structured.views import on, scales
from toolchain.frontend.train.hooks import Hook, TrainingState
from toolchain.project.recipe import Prune, StepOptions

if TYPE_CHECKING:
    from toolchain.compress.structured.groups import Group


def slimming(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Remove the channels with the least scale |gamma| of batch normalisation.

    Equation 1: the loss gets lambda x the sum of |gamma| over all channels that may go, for ``sparse_epochs``,
    with lambda = ``strength`` (the paper: 1e-4, 1e-5 for the deepest). Then the score of a channel is |gamma|, the
    mean where several normalisations share it, compared between layers as it is. Without ``sparse_epochs`` the
    scales count as they are, and no data is needed.
    """
    return prune_by(Slimming(), model, options, context)


class ScalePenalty(Hook):
    """Adds strength x the sum of |gamma| over the groups' normalisations to the loss."""

    captured = True

    def __init__(self, groups: Sequence[Group], strength: float) -> None:
        self.groups, self.strength = list(groups), strength

    def __repr__(self) -> str:
        return f"ScalePenalty({[group.name for group in self.groups]}, strength={self.strength})"

    def start(self, state: TrainingState) -> None:
        """Move indices to where the training is."""
        self.groups = on(self.groups, state.device)

    def penalty(self, state: TrainingState) -> Any:
        """See the class."""
        found = [values for group in self.groups if (values := scales(group)) is not None]
        return self.strength * torch.cat([values.flatten() for values in found]).abs().sum() if found else 0.0


class Slimming(ByGroup):
    """See :func:`slimming`."""

    def __init__(self) -> None:
        super().__init__(mean_scale, comparable=True)

    def train(
        self, model: torch.nn.Module, groups: Sequence[Group], options: Prune, context: Context
    ) -> tuple[str, ...]:
        """Sparsity training."""
        hook = ScalePenalty(groups, options.strength)
        purpose = "the sparsity training of 'slimming'"
        context.fit(model, purpose, epochs=options.sparse_epochs, lr=options.lr, hooks=[hook])
        return () if options.sparse_epochs else ("the scales were not trained to be sparse: sparse_epochs is 0",)


def mean_scale(group: Group) -> torch.Tensor | None:
    """Mean |gamma| of each channel, (channels,); None for groups without normalisation."""
    values = scales(group)
    return None if values is None else values.abs().mean(1)
