"""The layers of a model that can be factorised, how often each of their weights is used, and their replacement."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from toolchain.compress.costs import model_bytes
from toolchain.compress.excluded import excluded
from toolchain.frontend.zoo.layers import SameConv2d

Matrix = np.ndarray[Any, np.dtype[np.float64]]


@dataclasses.dataclass(frozen=True)
class Places:
    """At how many positions of one inference a stage of a factorised layer computes, all calls together.

    Attributes:
        inputs: pixels of the input (H_in x W_in).
        between: after the height has been strided only (H_out x W_in).
        outputs: pixels of the output (H_out x W_out).
    """

    inputs: int
    between: int
    outputs: int


@dataclasses.dataclass(frozen=True, eq=False)
class Site:
    """A layer that can be factorised.

    Attributes:
        name: of the submodule, the first of several.
        layer: a convolution without groups, or a linear layer.
        places: where its weights are used.
    """

    name: str
    layer: nn.Module
    places: Places

    @property
    def tensor(self) -> Matrix:
        """The weight W as (O, I, kh, kw) in float64; a linear layer has a 1x1 kernel."""
        weight: Matrix = self.layer.weight.detach().cpu().double().numpy()
        return weight if weight.ndim == 4 else weight[:, :, None, None]

    @property
    def pointwise(self) -> bool:
        """Whether the weight is a matrix: a linear layer, or a 1x1 convolution."""
        return tuple(self.layer.weight.shape[2:]) in ((), (1, 1))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference, the bias not counted."""
        return int(self.layer.weight.numel()) * self.places.outputs

    @property
    def params(self) -> int:
        """Weights, without the bias, which every factorisation keeps as it is."""
        return int(self.layer.weight.numel())

    @property
    def bytes(self) -> int:
        """Of the weight as stored."""
        alone = nn.Module()
        alone.weight = self.layer.weight
        return model_bytes(alone)


def find(
    model: nn.Module, inputs: Sequence[torch.Tensor], exclude: Sequence[str] = ()
) -> tuple[tuple[Site, ...], tuple[str, ...]]:
    """The layers that can be factorised, in the order in which they run, and notes on others that cannot.

    Args:
        model: in eval mode, runs once.
        inputs: of one inference.
        exclude: patterns of names that stay as they are.

    Raises:
        ConfigError: a pattern fits no layer.
    """
    left_out = excluded(model, exclude)
    calls = _calls(model, inputs)
    owners = _owners(model)
    sites, notes = [], []
    for name, layer in _layers(model):
        if layer not in calls or name in left_out:
            continue
        if reason := _unfit(layer, owners):
            notes.append(f"'{name}' stays as it is: {reason}")
        else:
            sites.append(Site(name, layer, _places(layer, calls[layer])))
    order = list(calls)
    return tuple(sorted(sites, key=lambda site: order.index(site.layer))), tuple(notes)


def replace(model: nn.Module, layers: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """Put the values in the place of the keys wherever a parent holds them; a model that is a key itself is swapped."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child in layers:
                parent._modules[name] = layers[child].train(child.training)
    return layers.get(model, model)


def _layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Convolutions and linear layers that are not inside of modules that read their weights by themselves."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    readers = (nn.TransformerEncoderLayer, nn.MultiheadAttention)
    taken = {id(m) for reader in model.modules() if isinstance(reader, readers) for m in reader.modules()}
    return [(n, m) for n, m in model.named_modules() if isinstance(m, kinds) and id(m) not in taken]


def _calls(model: nn.Module, inputs: Sequence[torch.Tensor]) -> dict[nn.Module, list[tuple[Any, Any]]]:
    """Shapes of input and output of every call of every layer, in order of the first call."""
    calls: dict[nn.Module, list[tuple[Any, Any]]] = {}

    def note(layer: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        calls.setdefault(layer, []).append((args[0].shape, output.shape))

    handles = [layer.register_forward_hook(note) for _, layer in _layers(model)]
    try:
        with torch.no_grad():
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _owners(model: nn.Module) -> dict[int, int]:
    """How many modules hold each parameter."""
    held: dict[int, int] = {}
    for module in set(model.modules()):
        for parameter in module._parameters.values():
            held[id(parameter)] = held.get(id(parameter), 0) + 1
    return held


def _unfit(layer: nn.Module, owners: Mapping[int, int]) -> str:
    """Why a layer cannot be factorised, or an empty text."""
    known = (nn.Conv2d.forward, nn.Linear.forward, SameConv2d.forward)
    if isinstance(layer, (nn.Conv1d, nn.Conv3d)):
        return "only layers with two axes of space or none are factorised"
    if not isinstance(layer._parameters.get("weight"), nn.Parameter) or type(layer).forward not in known:
        return "it does more than a convolution or a matrix product"
    if owners[id(layer.weight)] > 1:
        return "it shares its weight with another layer"
    groups = getattr(layer, "groups", 1)
    return f"its {groups} groups are few weights each already" if groups > 1 else ""


def _places(layer: nn.Module, calls: Sequence[tuple[Any, Any]]) -> Places:
    if isinstance(layer, nn.Linear):
        count = sum(out.numel() // out[-1] for _, out in calls)
        return Places(count, count, count)
    batches = [(1 if len(out) == 3 else out[0], seen[-2:], out[-2:]) for seen, out in calls]
    return Places(
        sum(n * seen[0] * seen[1] for n, seen, _ in batches),
        sum(n * out[0] * seen[1] for n, seen, out in batches),
        sum(n * out[0] * out[1] for n, _, out in batches),
    )
