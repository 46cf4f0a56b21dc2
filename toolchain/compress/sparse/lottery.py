"""Lottery tickets: train, prune, and go back to the weights of an early step, again and again.

Frankle & Carbin 2019, arXiv:1803.03635; going back to an early step instead of step 0: Frankle, Dziugaite, Roy &
Carbin 2020, arXiv:1912.05671.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from toolchain.compress.sparse.masks import Masks
from toolchain.compress.sparse.schedules import after_round, split
from toolchain.compress.sparse.training import MaskHook, check_options, folded
from toolchain.frontend.train.hooks import Hook, TrainingState

if TYPE_CHECKING:
    from toolchain.compress.context import Context
    from toolchain.compress.passes import Outcome
    from toolchain.project.recipe import Sparsify

#: Share of the first training after which the weights are kept to go back to.
EARLY = 0.1


class Snapshot(Hook):
    """Keeps the model's state as it is after a share of the training, at least one step."""

    captured = True

    def __init__(self, share: float) -> None:
        self.share = share
        self.state: dict[str, torch.Tensor] = {}

    def __repr__(self) -> str:
        return f"Snapshot({self.share})"

    def after_step(self, state: TrainingState) -> None:
        """Take it when the step is there."""
        if state.step + 1 == max(1, round(self.share * state.total)):
            self.state = {name: value.detach().clone() for name, value in state.model.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """The snapshot."""
        return dict(self.state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.state = dict(state)


def rewind(model: torch.nn.Module, masks: Masks, state: dict[str, torch.Tensor]) -> None:
    """Weights, biases and statistics as in ``state``; the masks stay, and weights behind them are zero."""
    keep = [mask.clone() for mask in masks.masks()]
    model.load_state_dict(state)
    masks.set(keep)
    for layer in masks.layers:
        layer.weight.data.mul_(layer.mask)


def search(model: torch.nn.Module, options: Sparsify, context: Context, epochs: list[int]) -> Masks:
    """Find the ticket: masks on the model, whose weights are those of the early step.

    Args:
        model: where the training starts.
        options: ``sparsity`` is reached in ``rounds``, each removing the same share of what is left.
        context: to train with.
        epochs: of each round's training.
    """
    masks, early = Masks(model, options.exclude), Snapshot(EARLY)
    for number in range(1, options.rounds + 1):
        hooks = [MaskHook(masks), *([early] if number == 1 else [])]
        purpose = f"the method 'lottery', round {number}"
        context.fit(model, purpose, epochs=epochs[number - 1], lr=options.lr, hooks=hooks)
        share = after_round(options.sparsity, number, options.rounds)
        masks.keep_largest(masks.magnitudes(), share, options.scope)
        rewind(model, masks, early.state)
    return masks


def lottery(model: torch.nn.Module, options: Sparsify, context: Context) -> Outcome:
    """Find the ticket in so many rounds, then train it; the epochs are shared out among all these trainings.

    Raises:
        ConfigError: fewer epochs than trainings, or options that the method does not have.
        ModelError: no weights to remove, or a training diverged.
        DataError: nothing to train with.
    """
    check_options(options, schedules=("iterative",), rounds=True, epochs=options.rounds + 1)
    epochs = split(options.epochs, options.rounds + 1)
    masks = search(model, options, context, epochs)
    purpose = "the method 'lottery', the ticket"
    losses = context.fit(model, purpose, epochs=epochs[-1], lr=options.lr, hooks=[MaskHook(masks)])
    return folded(model, masks, losses)
