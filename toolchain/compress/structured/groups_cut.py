"""Cut channels out of a model's weights.

Plain convolutions, linear layers and normalisation are cut by Torch-Pruning's functions; grouped convolutions,
parametrized weights, free parameters and buffers by ours. Where the cuts go is ours alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from toolchain.compress.structured.groups_sizes import Attribute

_CONV = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
_TRANSPOSED = (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d)
_BATCH_NORM = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)


@dataclasses.dataclass(frozen=True)
class Cut:
    """Positions that go from one axis of a parameter or buffer, under all the names that it has."""

    names: tuple[tuple[str, str], ...]
    dim: int
    length: int
    drop: tuple[int, ...]

    @property
    def keep(self) -> list[int]:
        """Positions that stay."""
        gone = set(self.drop)
        return [i for i in range(self.length) if i not in gone]


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that changes in a model: cuts, integers that layers keep, and lists of positions."""

    cuts: tuple[Cut, ...]
    attributes: tuple[tuple[Attribute, int], ...] = ()
    indices: tuple[tuple[str, str, tuple[int, ...]], ...] = ()


def apply(model: torch.nn.Module, plan: Plan) -> None:
    """Carry out a plan on the model it was made for, or on a copy of it; in place."""
    modules = dict(model.named_modules(remove_duplicate=False))
    done: set[tuple[str, str, int]] = set()
    for cut in plan.cuts:
        if not any((*name, cut.dim) in done for name in cut.names):
            done |= _library(modules, cut) or _ours(modules, cut)
    for attribute, value in plan.attributes:
        _set(modules[attribute.module], attribute, value)
    for name, key, kept in plan.indices:
        buffer = getattr(modules[name], key)
        place = {old: new for new, old in enumerate(kept)}
        moved = torch.tensor([place[int(i)] for i in buffer.tolist()], dtype=buffer.dtype, device=buffer.device)
        setattr(modules[name], key, moved)
    for name in {name for cut in plan.cuts for name, _ in cut.names}:
        _follow(modules[name.removesuffix(".parametrizations.weight")])


def _library(modules: dict[str, Any], cut: Cut) -> set[tuple[str, str, int]]:
    """Cut with Torch-Pruning where it does it right; what was cut."""
    import torch_pruning as tp

    if len(cut.names) > 1 or cut.names[0][1] != "weight":
        return set()
    name = cut.names[0][0]
    layer = modules[name]
    function = None
    if type(layer) in _CONV and layer.groups == 1:
        function = {0: tp.prune_conv_out_channels, 1: tp.prune_conv_in_channels}.get(cut.dim)
    elif type(layer) is torch.nn.Linear:
        function = {0: tp.prune_linear_out_channels, 1: tp.prune_linear_in_channels}.get(cut.dim)
    elif type(layer) in _BATCH_NORM:
        function = tp.prune_batchnorm_out_channels
    if function is None:
        return set()
    trained = [(key, p.requires_grad) for key, p in layer.named_parameters(recurse=False)]
    function(layer, list(cut.drop))
    for key, flag in trained:
        getattr(layer, key).requires_grad_(flag)
    also = () if cut.dim == 1 else ("bias", "running_mean", "running_var")
    return {(name, "weight", cut.dim), *((name, key, 0) for key in also)}


def _ours(modules: dict[str, Any], cut: Cut) -> set[tuple[str, str, int]]:
    name, key = cut.names[0]
    held = modules[name]._parameters if key in modules[name]._parameters else modules[name]._buffers
    value = held[key]
    keep = torch.tensor(cut.keep, dtype=torch.int64, device=value.device)
    made: torch.Tensor = value.detach().index_select(cut.dim, keep)
    if isinstance(value, torch.nn.Parameter):
        grad = None if value.grad is None else value.grad.index_select(cut.dim, keep)
        made = torch.nn.Parameter(made, requires_grad=value.requires_grad)
        made.grad = grad
    for name, key in cut.names:
        holder = modules[name]
        (holder._parameters if key in holder._parameters else holder._buffers)[key] = made
    return {(name, key, cut.dim) for name, key in cut.names}


def _set(module: torch.nn.Module, attribute: Attribute, value: int) -> None:
    if attribute.item is None:
        setattr(module, attribute.key, value)
        return
    old: Sequence[int] = getattr(module, attribute.key)
    new = [value if i == attribute.item else n for i, n in enumerate(old)]
    setattr(module, attribute.key, tuple(new) if isinstance(old, tuple) else new)


def _follow(layer: Any) -> None:
    """The counts that a layer keeps follow its weights."""
    if isinstance(layer, _CONV):
        layer.out_channels, layer.in_channels = layer.weight.shape[0], layer.weight.shape[1] * layer.groups
    elif isinstance(layer, _TRANSPOSED):
        layer.in_channels, layer.out_channels = layer.weight.shape[0], layer.weight.shape[1] * layer.groups
    elif isinstance(layer, torch.nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, torch.nn.modules.batchnorm._NormBase):
        held = [t for t in (layer.weight, layer.running_mean) if t is not None]
        layer.num_features = held[0].shape[0] if held else layer.num_features
    elif isinstance(layer, torch.nn.PReLU):
        layer.num_parameters = layer.weight.shape[0]
    elif isinstance(layer, torch.nn.Embedding):
        layer.embedding_dim = layer.weight.shape[1]
