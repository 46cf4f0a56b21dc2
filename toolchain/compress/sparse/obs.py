"""Optimal brain surgeon, layer by layer: weights go that the layer's output misses least, and the others make up.

Hassibi & Stork 1993 (NeurIPS 5) for the idea; Dong, Chen & Pan 2017 (arXiv:1705.07565) for layers; Frantar & Alistarh
2022 (arXiv:2208.11580) for an exact greedy order that is affordable. The arithmetic is in :mod:`.surgeon`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch

from toolchain.compress.sparse import calibration
from toolchain.compress.sparse.masks import Masks, prunable
from toolchain.compress.sparse.selection import select
from toolchain.compress.sparse.surgeon import damped, inverse, losses_at_once, refitted, removal_order
from toolchain.compress.sparse.training import MaskHook, check_options, folded

if TYPE_CHECKING:
    from toolchain.compress.context import Context
    from toolchain.compress.passes import Outcome
    from toolchain.project.recipe import Sparsify

#: Columns among which the greedy order is exact; wider layers are ordered in blocks, as if these did not interact.
BLOCK = 1024


@dataclasses.dataclass(frozen=True)
class Ranked:
    """Weights of a layer in the order in which they would go.

    Attributes:
        order: (rows, columns): the columns of each row in this order, block by block.
        costs: (rows, columns): what must be paid to get that far in a block; it never falls. As shares of the energy
            of the layer's output, so that layers compare.
    """

    order: torch.Tensor
    costs: torch.Tensor

    def mask(self, keep: torch.Tensor) -> torch.Tensor:
        """From a mask in this order to one over columns."""
        return torch.empty_like(keep).scatter_(1, self.order, keep)


def ranked(weights: torch.Tensor, hessian: torch.Tensor, *, greedy: bool, block: int = BLOCK) -> Ranked:
    """Rank a layer's weights.

    Args:
        weights: (rows, columns), float64.
        hessian: (groups, columns, columns), positive definite; rows belong to groups in equal parts, in order.
        greedy: after each removal the others are updated, before the next one is chosen; else all are ranked at once.
        block: see :data:`BLOCK`.
    """
    parts = []
    for first in range(0, weights.shape[1], block):
        inside = slice(first, first + block)
        inverses = _per_row(inverse(hessian[:, inside, inside]), len(weights))
        if greedy:
            order, losses = removal_order(weights[:, inside], inverses)
        else:
            losses, order = losses_at_once(weights[:, inside], inverses).sort(dim=1, stable=True)
        parts.append((order + first, losses.cummax(1).values))
    order, losses = (torch.cat(found, 1) for found in zip(*parts, strict=True))
    energy = ((weights[:, None] @ _per_row(hessian, len(weights)))[:, 0] * weights).sum() / 2
    return Ranked(order, losses / energy.clamp_min(torch.finfo(losses.dtype).tiny))


def _per_row(matrices: torch.Tensor, rows: int) -> torch.Tensor:
    return matrices if len(matrices) == 1 else matrices.repeat_interleave(rows // len(matrices), 0)


def _surgeon(model: torch.nn.Module, options: Sparsify, context: Context, *, greedy: bool) -> Outcome:
    check_options(options)
    purpose = f"the method '{options.method}'"
    candidates, _ = prunable(model, options.exclude, calibration.refuse)
    found = calibration.hessians(model, candidates, context, options.samples, purpose)

    def refuse(name: str, module: torch.nn.Module) -> str:
        missing = "no module call shows its inputs"
        return calibration.refuse(name, module) or ("" if name in found else missing)

    masks = Masks(model, options.exclude, refuse)
    matrices = [damped(found[layer.name].to(context.device)) for layer in masks.layers]
    rows = [weight.to(context.device).double().flatten(1) for weight in masks.weights()]
    order = [ranked(w, h, greedy=greedy) for w, h in zip(rows, matrices, strict=True)]
    keeps = select([one.costs for one in order], options.sparsity, options.scope)
    for layer, one, keep, w, h in zip(masks.layers, order, keeps, rows, matrices, strict=True):
        mask = one.mask(keep)
        layer.weight.data.copy_(refitted(w, mask, _per_row(h, len(w))).view(layer.weight.shape))
        layer.mask.copy_(mask.view(layer.mask.shape))
    losses = context.fit(model, purpose, epochs=options.epochs, lr=options.lr, hooks=[MaskHook(masks)])
    return folded(model, masks, losses)


def obs(model: torch.nn.Module, options: Sparsify, context: Context) -> Outcome:
    """Exact greedy removal: row by row the weight that costs least then, the row's others updated each time.

    Rows compete for the layer's share of zeros, with ``scope = "global"`` all layers for the model's. Work grows with
    the third power of a layer's inputs per output.

    Raises:
        ConfigError: options that the method does not have.
        ModelError: no weights to remove, or the training diverged.
        DataError: no training samples.
    """
    return _surgeon(model, options, context, greedy=True)


def l_obs(model: torch.nn.Module, options: Sparsify, context: Context) -> Outcome:
    """Layer-wise OBS: all weights are ranked by their loss at the start, then those that stay are fitted anew.

    The paper adds up the single updates; here the update is the exact one for all removals together.

    Raises:
        As :func:`obs`.
    """
    return _surgeon(model, options, context, greedy=False)
