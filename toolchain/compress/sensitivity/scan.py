"""One layer at a time: removed channels, or a lower rank. Imports torch."""

from __future__ import annotations

import copy

import torch

from toolchain.compress.context import Context
from toolchain.compress.sensitivity.points import PRUNE, RANK, Point, Site
from toolchain.compress.structured.groups import Group, Pruner

#: No cap: the strongest setting is asked for, too.
_CAP = 0.999


def pruning_sites(model: torch.nn.Module, context: Context) -> list[Site]:
    """Groups of coupled channels, each under the name of its first layer.

    Raises:
        ModelError: nothing can be pruned.
    """
    pruner = Pruner(copy.deepcopy(model), context.tensors(), cap=_CAP)
    return [Site(PRUNE, group.name, group.channels) for group in pruner.groups if pruner.allowed(group)]


def rank_sites(model: torch.nn.Module) -> list[Site]:
    """Convolutions (not grouped ones) and linear layers, with the largest rank that their matrix can have."""
    found = []
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear) or (isinstance(layer, torch.nn.Conv2d) and layer.groups == 1):
            found.append(Site(RANK, name, min(layer.weight.flatten(1).shape)))
    return [site for site in found if site.size > 1]


def score(model: torch.nn.Module, site: Site, share: float, context: Context, samples: int) -> Point:
    """Accuracy with one layer weakened; the model stays as it is.

    Args:
        model: in eval mode.
        site: what to weaken.
        share: of its channels or ranks that goes.
        context: with labelled data.
        samples: training samples to score on.

    Raises:
        DataError: no labelled samples.
    """
    weak = copy.deepcopy(model)
    left = site.left(share)
    if site.part == PRUNE:
        weak, left = without_channels(weak, site, left, context)
    else:
        lower_rank(weak.get_submodule(site.layer), left)
    accuracy = context.accuracy(weak, samples=samples, training=True)
    return Point(site.part, site.layer, share, site.size, left, accuracy)


def without_channels(model: torch.nn.Module, site: Site, left: int, context: Context) -> tuple[torch.nn.Module, int]:
    """The model with the weakest channels of a group removed, and how many stayed; works in place."""
    pruner = Pruner(model, context.tensors(), cap=_CAP)
    group = next(group for group in pruner.groups if group.name == site.layer)
    gone = min(group.channels - left, pruner.allowed(group))
    weakest = torch.argsort(importance(group), stable=True)[:gone].tolist()
    return pruner.remove({group.name: weakest}), group.channels - gone


def importance(group: Group) -> torch.Tensor:
    """Squared L2 norm of all that a channel's filters consist of, shape (channels,)."""
    parts = [member.weights().detach().double().square().sum(1) for member in group.members if member.axis == "out"]
    return torch.stack(parts).sum(0)


def lower_rank(layer: torch.nn.Module, rank: int) -> None:
    """Replace a weight by its nearest matrix of this rank (Eckart & Young 1936), in place.

    The matrix of a convolution has the shape (outputs, inputs x height x width). The layer computes what two smaller
    ones would, so that nothing need be replaced to score it.
    """
    weight = layer.weight.detach()
    matrix = weight.flatten(1).double()
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    near = (u[:, :rank] * s[:rank]) @ v[:rank]
    layer.weight.data = near.to(weight.dtype).reshape(weight.shape)
