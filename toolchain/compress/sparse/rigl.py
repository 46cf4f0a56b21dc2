"""RigL: sparse all the time; connections move from small weights to large gradients.

Evci, Gale, Menick, Castro & Elsen 2020, arXiv:1911.11134.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from toolchain.compress.sparse.masks import Layer, Masks
from toolchain.compress.sparse.schedules import Cosine
from toolchain.compress.sparse.selection import erk_kept, keep_mask, removed_count
from toolchain.compress.sparse.training import MaskHook, check_options, folded
from toolchain.frontend.train.hooks import TrainingState

if TYPE_CHECKING:
    from toolchain.compress.context import Context
    from toolchain.compress.passes import Outcome
    from toolchain.project.recipe import Sparsify


def moved(weight: torch.Tensor, gradient: torch.Tensor, mask: torch.Tensor, kept: int, count: int) -> torch.Tensor:
    """The mask after ``count`` connections were dropped and as many grown; ``kept`` of it stay True.

    Dropped are the active ones with the smallest |w|. Grown are those with the largest |gradient| of all that are not
    active then: a dropped one may come back at once, and keeps its weight.

    Args:
        weight, gradient: of one shape; the gradient is that of the weight behind the mask.
        mask: boolean, with ``kept`` times True.
        kept, count: known from shapes, so that nothing waits for an accelerator.
    """
    total = mask.numel()
    active = keep_mask(torch.where(mask, weight.abs(), -1.0), total - (kept - count))
    grown = keep_mask(torch.where(active, -1.0, gradient.abs()), total - count)
    return active | grown


class RigL(MaskHook):
    """Moves connections in some steps; each layer keeps as many as it began with.

    Connections that are new begin with a weight and a momentum of 0. Unlike the paper the weights are updated in the
    steps that move connections, too.

    Args:
        masks: as training begins.
        kept: how many weights each layer keeps.
        schedule: when and how many move.
    """

    def __init__(self, masks: Masks, kept: list[int], schedule: Cosine) -> None:
        super().__init__(masks)
        self.kept, self.schedule = kept, schedule

    def __repr__(self) -> str:
        return f"RigL({self.schedule})"

    def after_backward(self, state: TrainingState) -> None:
        """Move, where it is time, by the dense gradients of this step; then cut these off."""
        if self.schedule.due(state.step, state.total):
            share = self.schedule.share(state.step, state.total)
            for layer, kept in zip(self.masks.layers, self.kept, strict=True):
                self._move(layer, kept, round(share * kept), state)
        super().after_backward(state)

    def _move(self, layer: Layer, kept: int, count: int, state: TrainingState) -> None:
        weight, gradient = layer.weight.data, layer.weight.grad
        count = min(count, layer.mask.numel() - kept)
        if gradient is None or not count:
            return
        new = moved(weight, gradient, layer.mask, kept, count)
        stay = new & layer.mask
        layer.mask.copy_(new)
        weight.mul_(stay)
        momentum = state.optimizer.state[layer.weight].get("momentum_buffer")
        if momentum is not None:
            momentum.mul_(stay)


def kept_counts(masks: Masks, sparsity: float, scope: str) -> list[int]:
    """Weights that each layer keeps: the same share (``layer``: the paper's "uniform"), or by ERK (``global``)."""
    shapes = [tuple(weight.shape) for weight in masks.weights()]
    if scope == "global":
        return erk_kept(shapes, sparsity)
    sizes = [weight.numel() for weight in masks.weights()]
    return [size - removed_count(sparsity, size) for size in sizes]


def rigl(model: torch.nn.Module, options: Sparsify, context: Context) -> Outcome:
    """Mask the smallest weights of each layer, and train with masks that move.

    The paper begins with random weights and a random mask; with random weights the smallest ones are as random, and
    with trained ones they are the better choice.

    Raises:
        ConfigError: no epochs, or options that the method does not have.
        ModelError: no weights to remove, or the training diverged.
        DataError: nothing to train with.
    """
    check_options(options, epochs=1)
    masks = Masks(model, options.exclude)
    kept = kept_counts(masks, options.sparsity, options.scope)
    pairs = zip(masks.magnitudes(), kept, strict=True)
    masks.set([keep_mask(scores, scores.numel() - count) for scores, count in pairs])
    hook = RigL(masks, kept, Cosine())
    losses = context.fit(model, "the method 'rigl'", epochs=options.epochs, lr=options.lr, hooks=[hook])
    return folded(model, masks, losses)
