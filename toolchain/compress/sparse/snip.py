"""SNIP: connections that the loss is least sensitive to go before the training.

Lee, Ajanthan & Torr 2019, arXiv:1810.02340.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from toolchain.compress.sparse.masks import Masks
from toolchain.compress.sparse.training import MaskHook, check_options, folded
from toolchain.frontend.train.environment import at_home, bounded_threads, deterministic
from toolchain.frontend.train.hooks import task_loss

if TYPE_CHECKING:
    from toolchain.compress.context import Context
    from toolchain.compress.passes import Outcome
    from toolchain.project.recipe import Sparsify

#: Samples of one backward run at most.
BATCH = 128


def mean_gradients(
    model: torch.nn.Module, masks: Masks, context: Context, samples: int, purpose: str
) -> list[torch.Tensor]:
    """∂L/∂W of every masked layer, L being the task's mean loss over about ``samples`` training samples.

    In training mode, since the running statistics of an untrained batch normalisation mean nothing; the statistics
    and the mode come back. On the context's device, the result on the model's.

    Raises:
        DataError: no samples, or no labels.
    """
    labels = context.task == "classification"
    data = context.samples(purpose, labels=labels).train
    size = min(BATCH, samples, len(data))
    loss = task_loss(context.task, data, context.training.label_smoothing)
    before = {name: value.clone() for name, value in model.named_buffers()}
    mode = model.training
    with bounded_threads(context.training.threads), deterministic(context.device), at_home(model):
        torch.manual_seed(context.seed)
        model.to(context.device).train()
        weights = [layer.weight for layer in masks.layers]
        total = [torch.zeros_like(weight) for weight in weights]
        count = -(-samples // size)
        for batch in context.batches(purpose, count, size, labels=labels):
            found = torch.autograd.grad(loss(model(batch.x), batch), weights, allow_unused=True)
            for one, gradient in zip(total, found, strict=True):
                if gradient is not None:
                    one.add_(gradient, alpha=1 / count)
    for name, value in model.named_buffers():
        value.copy_(before[name])
    model.train(mode)
    return [one.to(value.device) for one, value in zip(total, masks.weights(), strict=True)]


def sensitivity(gradients: list[torch.Tensor], weights: list[torch.Tensor]) -> list[torch.Tensor]:
    """s_j = |g_j w_j| ; the paper divides by their sum, which changes no order."""
    return [(gradient * weight).abs() for gradient, weight in zip(gradients, weights, strict=True)]


def snip(model: torch.nn.Module, options: Sparsify, context: Context) -> Outcome:
    """Zero the connections with the lowest sensitivity at the weights that are given, then train with that mask.

    Raises:
        ConfigError: options that the method does not have.
        ModelError: no weights to remove, or the training diverged.
        DataError: no labelled training samples.
    """
    check_options(options)
    masks = Masks(model, options.exclude)
    purpose = "the method 'snip'"
    gradients = mean_gradients(model, masks, context, options.samples, purpose)
    masks.keep_largest(sensitivity(gradients, masks.weights()), options.sparsity, options.scope)
    losses = context.fit(model, purpose, epochs=options.epochs, lr=options.lr, hooks=[MaskHook(masks)])
    return folded(model, masks, losses)
