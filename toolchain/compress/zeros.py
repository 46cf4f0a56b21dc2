"""Training that leaves zero weights zero. Imports torch lazily."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolchain.frontend.train.hooks import Hook, TrainingState

if TYPE_CHECKING:
    import torch


class KeepZeros(Hook):
    """Weights with two axes or more that are zero when the training starts stay zero."""

    captured = True

    def __init__(self) -> None:
        self._masks: list[tuple[torch.Tensor, torch.Tensor]] = []

    def start(self, state: TrainingState) -> None:
        """Remember where the zeros are, on the device of the training."""
        weights = [weight for weight in state.model.parameters() if weight.ndim > 1]
        self._masks = [(weight, weight.detach() != 0) for weight in weights]

    def after_step(self, state: TrainingState) -> None:
        """Put them back, whatever momentum and decay did."""
        for weight, mask in self._masks:
            weight.data.mul_(mask)
