"""N:M sparsity: of every M neighbours along the input channels, at most N are not zero.

Sparse tensor cores (NVIDIA, from Ampere on) skip the zeros of 2:4 (Mishra et al. 2021, arXiv:2104.08378). Neighbours
are those that these cores take together: a convolution's weight (K, C, R, S) has the pattern along C for every
(k, r, s), a linear layer's (out, in) along ``in``. Layers whose input channels per group are no multiple of M stay
dense: filling up with zeros would cost accuracy, and no kernel takes such layers as sparse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from profiles.errors import ConfigError
from toolchain.compress.sparse.masks import Masks, Refuse
from toolchain.compress.sparse.selection import nm_mask, parse_pattern
from toolchain.compress.sparse.training import MaskHook, check_options, folded
from toolchain.frontend.train.hooks import TrainingState

if TYPE_CHECKING:
    from toolchain.compress.context import Context
    from toolchain.compress.passes import Outcome
    from toolchain.project.recipe import Sparsify

#: What SR-STE pulls pruned weights towards zero with (Zhou et al. 2021).
DECAY = 2e-4
_TRANSPOSED = (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d)


def refuse(m: int) -> Refuse:
    """Layers that stay dense in a pattern of ``m`` neighbours."""

    def why(name: str, module: torch.nn.Module) -> str:
        if isinstance(module, _TRANSPOSED):
            return "transposed convolutions have no sparse kernels"
        inputs = module.weight.shape[1]
        return f"{inputs} input channels are no multiple of {m}" if inputs % m else ""

    return why


def pattern_masks(masks: Masks, n: int, m: int) -> list[torch.Tensor]:
    """Masks of the ``n`` largest |w| of every ``m`` input channels."""
    return [nm_mask(weight.abs(), n, m, axis=1) for weight in masks.weights()]


class SrSte(MaskHook):
    """Sparse-refined straight-through estimator (Zhou et al. 2021, arXiv:2102.04010).

    W_{t+1} = W_t - γ (g(W̃_t) + λ (Ē_t ⊙ W_t)): W̃ is W under the mask of this step, g its gradient, which goes
    straight through to all of W, and Ē is 1 where the mask hides W. λ is :data:`DECAY`.
    """

    def __init__(self, masks: Masks, n: int, m: int) -> None:
        super().__init__(masks)
        self.n, self.m = n, m

    def __repr__(self) -> str:
        return f"SrSte({self.n}:{self.m}, {DECAY})"

    def before_step(self, state: TrainingState) -> None:
        """The mask follows the weights in every step."""
        self.masks.set(pattern_masks(self.masks, self.n, self.m))

    def after_backward(self, state: TrainingState) -> None:
        """λ (Ē ⊙ W) is added to the gradient."""
        for layer in self.masks.layers:
            if layer.weight.grad is not None:
                layer.weight.grad.add_(layer.weight.data.masked_fill(layer.mask, 0.0), alpha=DECAY)

    def after_step(self, state: TrainingState) -> None:
        """Hidden weights keep their values behind the masks."""

    def finish(self, state: TrainingState) -> None:
        """The mask of the final weights."""
        self.before_step(state)


def _start(model: torch.nn.Module, options: Sparsify) -> tuple[Masks, int, int]:
    n, m = parse_pattern(options.pattern or "2:4")
    if "sparsity" in options.model_fields_set and abs(options.sparsity - (1 - n / m)) > 1e-6:
        raise ConfigError(
            f"the pattern {n}:{m} makes {1 - n / m:.0%} of the weights zero",
            seen=f"sparsity = {options.sparsity}",
            next_step="leave sparsity out",
        )
    masks = Masks(model, options.exclude, refuse(m))
    masks.set(pattern_masks(masks, n, m))
    return masks, n, m


def nm(model: torch.nn.Module, options: Sparsify, context: Context) -> Outcome:
    """Keep the N largest of every M weights, and train on with that mask (the recipe of Mishra et al. 2021).

    Needs no data with ``epochs = 0``. ``scope`` has no say: all layers get the same pattern.

    Raises:
        ConfigError: no such pattern, a sparsity that contradicts it, options that the method does not have.
        ModelError: no layer can have the pattern, or the training diverged.
        DataError: epochs, but nothing to train with.
    """
    check_options(options, pattern=True)
    masks, _, _ = _start(model, options)
    losses = context.fit(model, "the method 'nm'", epochs=options.epochs, lr=options.lr, hooks=[MaskHook(masks)])
    return folded(model, masks, losses)


def sr_ste(model: torch.nn.Module, options: Sparsify, context: Context) -> Outcome:
    """Train with a pattern that follows the weights; see :class:`SrSte`.

    Raises:
        ConfigError: no epochs, and as for :func:`nm`.
        ModelError: no layer can have the pattern, or the training diverged.
        DataError: nothing to train with.
    """
    check_options(options, pattern=True, epochs=1)
    masks, n, m = _start(model, options)
    hook = SrSte(masks, n, m)
    losses = context.fit(model, "the method 'sr_ste'", epochs=options.epochs, lr=options.lr, hooks=[hook])
    return folded(model, masks, losses)
