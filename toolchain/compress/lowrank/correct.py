"""Mend a factorised model with samples: last factors by least squares, then the statistics of batch normalisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from toolchain.compress.context import Context
from toolchain.compress.lowrank.patches import Patches, rows
from toolchain.frontend.train.loop import at_home

#: Positions per sample that the least squares see.
POSITIONS = 32
#: Pull towards the present factor, as a share of the mean variance of its inputs.
RIDGE = 1e-3
_BATCH = 128


class _Enough(Exception):  # noqa: N818  (it ends a forward run, nothing is wrong)
    """The rest of the model need not run."""


def refit(
    model: nn.Module,
    whole: nn.Module,
    layers: Sequence[tuple[nn.Module, nn.Module]],
    context: Context,
    purpose: str,
    samples: int,
) -> None:
    """Give the last factors the weights and biases that bring each layer's output closest to the whole model's.

    Layer after layer, in the order in which they run: with h what the last factor U is multiplied with in the factorised
    model and y the layer's output in the whole model, U and b minimise E||y - U h - b||^2 (the asymmetric
    reconstruction of Zhang et al. 2016, arXiv:1505.06798, section 3.2, without the activation).
    A factor without bias gets one.

    Args:
        model: factorised, in eval mode; changed in place.
        whole: as it was.
        layers: (factorised in ``model``, original in ``whole``).
        context, purpose: for samples.
        samples: how many.

    Raises:
        DataError: there are none.
    """
    batches = [batch.x for batch in context.batches(purpose, max(1, -(-samples // _BATCH)), _BATCH)]
    generator = torch.Generator().manual_seed(context.seed)
    with at_home(model), at_home(whole), torch.no_grad():
        model.to(context.device)
        whole.to(context.device)
        for made, original in layers:
            last = made[-1] if isinstance(made, nn.Sequential) else made
            _solve(last, *_moments(model, last, whole, original, batches, generator))


def _moments(
    model: nn.Module,
    last: nn.Module,
    whole: nn.Module,
    original: nn.Module,
    batches: Sequence[torch.Tensor],
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """E[z z^T] and E[z y^T] of z = (h, 1), float64."""
    patches = Patches(last).to(batches[0].device)
    total: list[Any] = [0.0, 0.0]
    seen = 0
    for x in batches:
        h, y = patches(_seen(model, last, x)[0]), rows(_seen(whole, original, x)[1])
        at = torch.randperm(y.shape[1], generator=generator)[:POSITIONS].to(y.device)
        h, y = h[:, at].flatten(0, 1).double(), y[:, at].flatten(0, 1).double()
        z = torch.cat([h, torch.ones_like(h[:, :1])], 1)
        total = [total[0] + z.T @ z, total[1] + z.T @ y]
        seen += len(z)
    return total[0] / seen, total[1] / seen


def _seen(model: nn.Module, layer: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Input and output of a layer; the model stops there."""
    kept: list[torch.Tensor] = []

    def stop(module: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        kept.extend((args[0], output))
        raise _Enough

    handle = layer.register_forward_hook(stop)
    try:
        model(x)
    except _Enough:
        pass
    finally:
        handle.remove()
    return kept[0], kept[1]


def _solve(layer: nn.Module, zz: torch.Tensor, zy: torch.Tensor) -> None:
    """Ridge regression around the present weight; the bias is free."""
    present = layer.weight.double().flatten(1)
    size = present.shape[1]
    pull = torch.eye(size + 1, dtype=zz.dtype, device=zz.device) * RIDGE * float(zz.diagonal()[:-1].mean())
    pull[-1, -1] = 0
    start = torch.cat([present.T, torch.zeros_like(present.T[:1])])
    best = torch.linalg.solve(zz + pull, zy + pull @ start)
    layer.weight.copy_(best[:-1].T.reshape(layer.weight.shape))
    if layer.bias is None:
        layer.bias = nn.Parameter(torch.zeros_like(layer.weight[:, 0].flatten(1)[:, 0]))
    layer.bias.copy_(best[-1])


def renormalise(model: nn.Module, context: Context, purpose: str, samples: int) -> int:
    """Take the statistics of batch normalisation anew (Li et al. 2020, arXiv:2007.02491); how many layers have some.

    Means and variances are the averages over the batches; everything else stays in eval mode.

    Raises:
        DataError: no samples.
    """
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    norms = [m for m in model.modules() if isinstance(m, kinds) and m.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with at_home(model), torch.no_grad():
        model.to(context.device)
        for batch in context.batches(purpose, max(1, -(-samples // _BATCH)), _BATCH):
            model(batch.x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
    return len(norms)
