"""Dynamic network surgery: pruned connections are spliced back when their weights have grown.

Guo, Yao & Chen 2016, arXiv:1608.04493.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from toolchain.compress.sparse.masks import Masks
from toolchain.compress.sparse.schedules import Cubic
from toolchain.compress.sparse.training import Gradual, check_options, folded
from toolchain.frontend.train.hooks import TrainingState

if TYPE_CHECKING:
    from toolchain.compress.context import Context
    from toolchain.compress.passes import Outcome
    from toolchain.project.recipe import Sparsify

#: b / a, the upper threshold over the lower one.
THRESHOLDS = 1.1 / 0.9


class Surgery(Gradual):
    """Two thresholds a < b: prune below a, splice from b on, and leave masks between them alone.

    The paper sets a and b by a layer's mean and deviation, and the sparsity follows. Here the sparsity is given: the
    scores |w| · b/a of what is kept and |w| of what is pruned, cut at the count wanted, are the same rule with b at
    the cut. All weights are trained, pruned ones with the gradient that they would have behind no mask. The masks'
    updates become rarer in the paper; here they come at even steps and end with three quarters of the training.
    """

    def scores(self) -> list[torch.Tensor]:
        """|w|, times b/a for weights that count."""
        return [
            torch.where(layer.mask, layer.weight.data.abs() * THRESHOLDS, layer.weight.data.abs())
            for layer in self.masks.layers
        ]

    def after_backward(self, state: TrainingState) -> None:
        """Pruned weights are trained too."""

    def after_step(self, state: TrainingState) -> None:
        """Pruned weights keep their values behind the masks."""


def surgery(model: torch.nn.Module, options: Sparsify, context: Context) -> Outcome:
    """Train with the full sparsity from the first step, pruning and splicing as the weights move.

    Raises:
        ConfigError: no epochs, or options that the method does not have.
        ModelError: no weights to remove, or the training diverged.
        DataError: nothing to train with.
    """
    check_options(options, epochs=1)
    masks = Masks(model, options.exclude)
    hook = Surgery(masks, Cubic(options.sparsity, initial=options.sparsity), options.scope)
    losses = context.fit(model, "the method 'surgery'", epochs=options.epochs, lr=options.lr, hooks=[hook])
    return folded(model, masks, losses)
