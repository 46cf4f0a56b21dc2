"""What a pruned net must compute, without looking at how the pruner zeroes: hooks mask what layers read and make."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from toolchain.compress.structured.groups import Group, Member


def masked(net: nn.Module, groups: Sequence[Group], drop: Mapping[str, Sequence[int]]) -> nn.Module:
    """A float64 copy in which dropped channels are zero wherever a layer makes or reads them."""
    dense = copy.deepcopy(net).double()
    modules = dict(dense.named_modules())
    for group in groups:
        for member in group.members:
            if drop.get(group.name) and member.axis != "parameter":
                _mask(modules[member.name], member, member.index[list(drop[group.name])].flatten())
    return dense


def _mask(layer: nn.Module, member: Member, positions: torch.Tensor) -> None:
    axis = -1 if isinstance(layer, nn.Linear) else 1
    if member.axis == "in":
        layer.register_forward_pre_hook(_before(axis, positions, getattr(layer, "groups", 1)))
    else:
        count = getattr(layer, "groups", 1) if isinstance(layer, nn.ConvTranspose2d) else 1
        layer.register_forward_hook(lambda m, args, out: _without(out, axis, positions, count))


def _before(axis: int, positions: torch.Tensor, groups: int) -> Callable[[Any, Any], Any]:
    return lambda m, args: (_without(args[0], axis, positions, groups), *args[1:])


def _without(x: torch.Tensor, axis: int, positions: torch.Tensor, groups: int) -> torch.Tensor:
    each = x.shape[axis] // groups
    every = torch.cat([positions + g * each for g in range(groups)])
    return x.index_fill(axis, every, 0)


def largest_difference(net: nn.Module, dense: nn.Module, inputs: torch.Tensor) -> float:
    """Between a pruned net and its masked one, in float64, as a share of the largest output."""
    pruned = copy.deepcopy(net).double()
    with torch.no_grad():
        want, have = dense(inputs.double()), pruned(inputs.double())
    assert want.shape == have.shape
    return float((want - have).abs().max() / want.abs().max())
