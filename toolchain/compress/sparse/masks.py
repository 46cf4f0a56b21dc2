"""Masks as parametrizations of weights: put on, read, changed, and folded into plain weights.

A masked layer computes with ``weight * mask``. Gradients go straight through the mask to all weights (Bengio et al.
2013, arXiv:1308.3432), so that methods which let weights come back see dense gradients; :class:`.training.MaskHook`
cuts them off for the others. Masks are buffers: checkpoints of the model keep them.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.utils import parametrize

from profiles.errors import ModelError
from toolchain.compress.excluded import excluded
from toolchain.compress.sparse.selection import select

#: Layers whose ``weight`` may lose single values.
KINDS = (
    torch.nn.Linear,
    torch.nn.Conv1d,
    torch.nn.Conv2d,
    torch.nn.Conv3d,
    torch.nn.ConvTranspose1d,
    torch.nn.ConvTranspose2d,
    torch.nn.ConvTranspose3d,
)
#: Why a layer must stay dense, or an empty text.
Refuse = Callable[[str, torch.nn.Module], str]


class _StraightThrough(torch.autograd.Function):  # type: ignore[misc]
    """``weight * mask`` whose gradient is that of ``weight``."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return weight.masked_fill(~mask, 0.0)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


class Mask(torch.nn.Module):  # type: ignore[misc]
    """The parametrization: ``mask`` is True, of the weight's shape, where a weight counts."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", torch.ones_like(weight, dtype=torch.bool))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The weight that the layer computes with."""
        masked: torch.Tensor = _StraightThrough.apply(weight, self.mask)
        return masked


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer with a mask; both tensors are looked up anew, so that they may move between devices."""

    name: str
    module: torch.nn.Module

    @property
    def weight(self) -> torch.nn.Parameter:
        """Behind the mask: the parameter that is trained."""
        return self.module.parametrizations["weight"].original

    @property
    def mask(self) -> torch.Tensor:
        """Boolean, of the weight's shape; changed in place only."""
        mask: torch.Tensor = self.module.parametrizations["weight"][0].mask
        return mask


def prunable(
    model: torch.nn.Module, exclude: Sequence[str] = (), refuse: Refuse | None = None
) -> tuple[dict[str, torch.nn.Module], dict[str, str]]:
    """Layers whose weights may be masked, and the others with weights of two axes or more: name to reason.

    Args:
        model: without masks.
        exclude: names of layers that stay as they are; ``*`` stands for any text.
        refuse: a method's own reasons.

    Raises:
        ConfigError: a name in ``exclude`` fits no layer.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, KINDS)}
    left_out = excluded(model, exclude)
    uses = Counter(id(p) for module in model.modules() for p in module.parameters(recurse=False))
    dense: dict[str, str] = {}
    for name, module in layers.items():
        if why := _why_dense(name, module, left_out, uses) or (refuse(name, module) if refuse else ""):
            dense[name] = why
    return {name: module for name, module in layers.items() if name not in dense}, {**dense, **_others(model, layers)}


def _why_dense(name: str, module: torch.nn.Module, left_out: frozenset[str], uses: Counter[int]) -> str:
    if name in left_out:
        return "excluded"
    if parametrize.is_parametrized(module, "weight") or "weight" not in module._parameters:
        return "its weight is computed from others"
    return "its weight is shared with another layer" if uses[id(module.weight)] > 1 else ""


def _others(model: torch.nn.Module, layers: dict[str, torch.nn.Module]) -> dict[str, str]:
    taken = {id(p) for module in layers.values() for p in module.parameters()}
    names = [name for name, p in model.named_parameters() if p.ndim > 1 and id(p) not in taken]
    return dict.fromkeys(names, "neither convolution nor linear layer")


class Masks:
    """The masks of a model, all True at first.

    Args:
        model: changed in place until :meth:`fold`.
        exclude, refuse: see :func:`prunable`.

    Attributes:
        layers: with a mask each.
        dense: name to reason, of what stays as it is.

    Raises:
        ConfigError: a name in ``exclude`` fits no layer.
        ModelError: nothing is left to mask.
    """

    def __init__(self, model: torch.nn.Module, exclude: Sequence[str] = (), refuse: Refuse | None = None) -> None:
        modules, self.dense = prunable(model, exclude, refuse)
        if not modules:
            raise ModelError(
                "wanted a convolution or linear layer whose weights may become zero",
                seen="none" + "".join(f"; {name}: {why}" for name, why in list(self.dense.items())[:5]),
                next_step="leave fewer layers out, or drop the step",
            )
        self._orders = {name: list(module._parameters) for name, module in modules.items()}
        for module in modules.values():
            parametrize.register_parametrization(module, "weight", Mask(module.weight))
        self.layers = tuple(Layer(name, module) for name, module in modules.items())

    def weights(self) -> list[torch.Tensor]:
        """What lies behind the masks, without gradients; the trained parameters themselves."""
        return [layer.weight.detach() for layer in self.layers]

    def masks(self) -> list[torch.Tensor]:
        """The masks themselves."""
        return [layer.mask for layer in self.layers]

    def magnitudes(self) -> list[torch.Tensor]:
        """|w| of what counts and -1 of what is masked, which therefore never comes back before the rest is gone."""
        return [layer.weight.detach().abs().masked_fill_(~layer.mask, -1.0) for layer in self.layers]

    def set(self, masks: Sequence[torch.Tensor]) -> None:
        """Other masks, in the layers' order."""
        for layer, mask in zip(self.layers, masks, strict=True):
            layer.mask.copy_(mask)

    def keep_largest(self, scores: Sequence[torch.Tensor], sparsity: float, scope: str) -> None:
        """Mask the share ``sparsity`` with the lowest scores; see :func:`.selection.select`."""
        self.set(select(scores, sparsity, scope))

    def fold(self) -> None:
        """Plain weights again, zero where they were masked; parameters in the order that they had."""
        for layer in self.layers:
            module = layer.module
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
            module._parameters = {name: module._parameters[name] for name in self._orders[layer.name]}
