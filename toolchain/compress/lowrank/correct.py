"""Mend a factorised model with samples: last factors by least squares, then the statistics of batch normalisation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from toolchain.compress.context import Context
from toolchain.compress.lowrank.patches import Patches, rows
from toolchain.frontend.train.environment import at_home
from toolchain.frontend.train.feed import Batch
from toolchain.frontend.zoo import CLASSIFICATION

#: Positions per sample that the least squares see.
POSITIONS = 32
#: Pull towards the present factor, as a share of the mean variance of its inputs.
RIDGE = 1e-3
_BATCH = 128


class _Enough(Exception):
    """The rest of the model need not run."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """A factorised model and the whole one it came from, both in eval mode."""

    model: nn.Module
    whole: nn.Module


def refit(
    pair: Pair, layers: Sequence[tuple[nn.Module, nn.Module]], context: Context, purpose: str, samples: int
) -> None:
    """Give last factors the weights and biases that bring each layer's output closest to the whole model's; in place.

    Layer after layer, in the order in which they run: with h what the last factor U is multiplied with in the
    factorised model, and y the layer's output in the whole one, U and b minimise E||y - U h - b||^2 (the asymmetric
    reconstruction of Zhang et al. 2016, arXiv:1505.06798, section 3.2, without the activation). A layer without
    bias is taken to be followed by batch normalisation where the model has any: it takes the mean away.

    Args:
        pair: both models.
        layers: (factorised, original) of each layer, in order.
        context, purpose: for samples.
        samples: how many.

    Raises:
        DataError: there are none.
    """
    batches = [batch.x for batch in _batches(context, purpose, samples)]
    generator = torch.Generator().manual_seed(context.seed)
    free = bool(norms(pair.model))
    with at_home(pair.model), at_home(pair.whole), torch.no_grad():
        pair.model.to(context.device)
        pair.whole.to(context.device)
        for made, original in layers:
            last = made[-1]
            moments = _moments(pair, (last, original), batches, generator)
            _solve(last, *moments, free=free or last.bias is not None)


def _batches(context: Context, purpose: str, samples: int) -> Iterator[Batch]:
    return context.batches(purpose, max(1, -(-samples // _BATCH)), min(_BATCH, samples))


def _moments(
    pair: Pair, layers: tuple[nn.Module, nn.Module], batches: Sequence[torch.Tensor], generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """E[z z^T] and E[z y^T] of z = (h, 1), float64; h goes into the first layer, y comes out of the second."""
    patches = Patches(layers[0]).to(batches[0].device)
    total: list[Any] = [0.0, 0.0]
    seen = 0
    for x in batches:
        h = patches(_seen(pair.model, layers[0], x)[0])
        y = rows(_seen(pair.whole, layers[1], x)[1])
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


def _solve(layer: nn.Module, zz: torch.Tensor, zy: torch.Tensor, *, free: bool) -> None:
    """Ridge regression around the present weight; the bias is not pulled anywhere, and is 0 unless ``free``."""
    present = layer.weight.double().flatten(1).T
    pull = torch.full_like(zz[0], RIDGE * float(zz.diagonal()[:-1].mean()))
    pull[-1] = 0 if free else float(zz.diagonal().sum()) * 1e9
    start = torch.cat([present, torch.zeros_like(present[:1])])
    best = torch.linalg.solve(zz + pull.diag(), zy + pull[:, None] * start)
    layer.weight.copy_(best[:-1].T.reshape(layer.weight.shape))
    if layer.bias is not None:
        layer.bias.copy_(best[-1])


def renormalise(model: nn.Module, context: Context, purpose: str, samples: int) -> int:
    """Take the statistics of batch normalisation anew (Li et al. 2020, arXiv:2007.02491); how many layers have some.

    Means and variances are the averages over the batches; everything else stays in eval mode.

    Raises:
        DataError: no samples.
    """
    found = norms(model)
    momenta = [norm.momentum for norm in found]
    for norm in found:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with at_home(model), torch.no_grad():
        model.to(context.device)
        for batch in _batches(context, purpose, samples):
            model(batch.x)
    for norm, momentum in zip(found, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
    return len(found)


def drift(pair: Pair, context: Context, purpose: str, samples: int) -> float:
    """How far the outputs are from the whole model's, on samples that come after the first ``samples`` where there are.

    Classification: the mean Kullback-Leibler divergence in nats; else the squared error over the squared output.
    """
    total = scale = 0.0
    size, count = min(_BATCH, samples), -(-samples // _BATCH)
    with at_home(pair.model), at_home(pair.whole), torch.no_grad():
        pair.model.to(context.device)
        pair.whole.to(context.device)
        for index, batch in enumerate(context.batches(purpose, 2 * count, size)):
            if index >= count:
                away, of = _away(pair.model(batch.x).double(), pair.whole(batch.x).double(), context.task)
                total, scale = total + away, scale + of
    return total / max(scale, 1e-30)


def _away(y: torch.Tensor, wanted: torch.Tensor, task: str) -> tuple[float, float]:
    """The sum of divergences and their number, or of squared errors and squares."""
    if task != CLASSIFICATION:
        return float((y - wanted).pow(2).sum()), float(wanted.pow(2).sum())
    logs = y.log_softmax(-1), wanted.log_softmax(-1)
    return float(functional.kl_div(*logs, log_target=True, reduction="sum")), wanted.numel() / wanted.shape[-1]


def norms(model: nn.Module) -> list[nn.Module]:
    """The batch normalisations with statistics."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return [m for m in model.modules() if isinstance(m, kinds) and m.track_running_stats]
