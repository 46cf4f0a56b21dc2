"""Movement pruning: weights that training moves towards zero go.

Sanh, Wolf & Rush 2020, arXiv:2005.07683 (hard movement pruning).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from toolchain.compress.sparse.masks import Masks
from toolchain.compress.sparse.schedules import Cubic
from toolchain.compress.sparse.training import Gradual, check_options, folded
from toolchain.frontend.train.hooks import TrainingState

if TYPE_CHECKING:
    from toolchain.compress.context import Context
    from toolchain.compress.passes import Outcome
    from toolchain.project.recipe import Sparsify

#: Shares of the training: scores are gathered before the first weights go, and the last part only recovers.
BEGIN, END = 0.1, 0.75


class Movement(Gradual):
    """Scores S, of each weight's shape, and masks M that keep the highest; S starts at 0.

    The layer computes a = (W ⊙ M) x with M = Top_v(S). The gradient of S goes straight through Top_v:
    ∂L/∂S = ∂L/∂(W ⊙ M) ⊙ W, so that S = -α_S Σ_t ∂L/∂(W ⊙ M) ⊙ W; its rate α_S cancels in Top_v and is 1 here. Masked
    weights keep their values (less the weight decay) and their scores go on, so that they can come back. Scores stop
    with the last change of the masks.
    """

    def __init__(self, masks: Masks, schedule: Cubic, scope: str) -> None:
        super().__init__(masks, schedule, scope)
        self._scores: list[torch.Tensor] = []

    def start(self, state: TrainingState) -> None:
        """Scores lie where the weights are."""
        self._scores = [torch.zeros_like(weight) for weight in self.masks.weights()]

    def scores(self) -> Sequence[torch.Tensor]:
        """S."""
        return self._scores

    def after_backward(self, state: TrainingState) -> None:
        """S falls by gradient times weight; then masked weights' gradients are cut off."""
        if state.step < self.schedule.last(state.total):
            for layer, score in zip(self.masks.layers, self._scores, strict=True):
                if layer.weight.grad is not None:
                    score.addcmul_(layer.weight.grad, layer.weight.data, value=-1.0)
        super().after_backward(state)

    def after_step(self, state: TrainingState) -> None:
        """Masked weights stay behind their masks."""

    def state_dict(self) -> dict[str, Any]:
        """The scores."""
        return {"scores": list(self._scores)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        for score, saved in zip(self._scores, state["scores"], strict=True):
            score.copy_(saved)


def movement(model: torch.nn.Module, options: Sparsify, context: Context) -> Outcome:
    """Train, and remove the weights with the lowest scores on the cubic schedule that the paper uses too.

    Raises:
        ConfigError: no epochs, or options that the method does not have.
        ModelError: no weights to remove, or the training diverged.
        DataError: nothing to train with.
    """
    check_options(options, schedules=("cubic",), epochs=1)
    masks = Masks(model, options.exclude)
    hook = Movement(masks, Cubic(options.sparsity, begin=BEGIN, end=END), options.scope)
    losses = context.fit(model, "the method 'movement'", epochs=options.epochs, lr=options.lr, hooks=[hook])
    return folded(model, masks, losses)
