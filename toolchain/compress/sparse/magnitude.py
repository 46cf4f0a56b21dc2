"""Magnitude pruning: the smallest weights go, at once, in rounds, or gradually.

LeCun, Denker & Solla 1990 name it as the plain way; Han et al. 2015 (arXiv:1506.02626) prune and retrain in rounds; Zhu
& Gupta 2017 (arXiv:1710.01878) prune during the training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolchain.compress.sparse.masks import Masks
from toolchain.compress.sparse.schedules import Cubic, after_round, split
from toolchain.compress.sparse.training import Gradual, MaskHook, check_options, folded

if TYPE_CHECKING:
    import torch

    from toolchain.compress.context import Context
    from toolchain.compress.passes import Outcome
    from toolchain.project.recipe import Sparsify


def magnitude(model: torch.nn.Module, options: Sparsify, context: Context) -> Outcome:
    """Zero the weights with the smallest |w|, and train the others on.

    ``oneshot`` needs no data with ``epochs = 0``; ``iterative`` shares the epochs out among its rounds, each of which
    removes the same share of what is left; ``cubic`` removes weights during the first three quarters of the epochs.

    Raises:
        ConfigError: options that do not go together.
        ModelError: no weights to remove, or the training diverged.
        DataError: epochs, but nothing to train with.
    """
    iterative, cubic = options.schedule == "iterative", options.schedule == "cubic"
    check_options(options, schedules=("iterative", "cubic"), rounds=iterative, epochs=int(cubic))
    masks = Masks(model, options.exclude)
    if cubic:
        hook = Gradual(masks, Cubic(options.sparsity), options.scope)
        losses = context.fit(model, "the method 'magnitude'", epochs=options.epochs, lr=options.lr, hooks=[hook])
        return folded(model, masks, losses)
    losses = []
    rounds = options.rounds if iterative else 1
    for number, epochs in enumerate(split(options.epochs, rounds), 1):
        masks.keep_largest(masks.magnitudes(), after_round(options.sparsity, number, rounds), options.scope)
        purpose = f"the method 'magnitude', round {number}"
        losses += context.fit(model, purpose, epochs=epochs, lr=options.lr, hooks=[MaskHook(masks)])
    return folded(model, masks, losses)
