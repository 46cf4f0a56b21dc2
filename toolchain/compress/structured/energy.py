"""What one inference costs in energy, estimated from operations and memory traffic."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

#: Joules of one 32-bit operation in a 45 nm process at 0.9 V: Horowitz 2014, "Computing's energy problem (and
#: what we can do about it)", ISSCC, figure 1.1.9; the DRAM figure for 32 bits as in Han et al. 2015,
#: "Learning both weights and connections", arXiv:1506.02626, table 1. Memory near a core: 32 bits of a 32 kB cache.
MULTIPLY = 3.7e-12
ADD = 0.9e-12
CACHE_READ = 5e-12
DRAM = 640e-12
SOURCE = "estimated: operations and memory accesses of a 45 nm chip in 32-bit float (Horowitz 2014; Han et al. 2015)"

#: A multiply-accumulate reads its weight and its input from memory near the core.
PER_MAC = MULTIPLY + ADD + 2 * CACHE_READ

LAYERS = (torch.nn.modules.conv._ConvNd, torch.nn.Linear)


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """One convolution or linear layer in one inference.

    Attributes:
        macs: multiply-accumulates.
        values: weights, inputs and outputs in number of values, each of which crosses to DRAM once.
    """

    macs: int
    values: int

    @property
    def joules(self) -> float:
        """Energy: macs x (multiply + add + two reads nearby) + values x one access to DRAM."""
        return self.macs * PER_MAC + self.values * DRAM


def layer_costs(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> dict[str, LayerCost]:
    """Costs of every convolution and linear layer by name, from one run of ``model``; other layers are not counted.

    A layer that is called several times counts its weights and operations each time.
    """
    costs: dict[str, LayerCost] = {}
    names = {module: name for name, module in model.named_modules()}

    def note(module: torch.nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> None:
        seen = costs.get(names[module], LayerCost(0, 0))
        here = _cost(module, args[0], output)
        costs[names[module]] = LayerCost(seen.macs + here.macs, seen.values + here.values)

    hooks = [module.register_forward_hook(note) for module in names if isinstance(module, LAYERS)]
    try:
        with torch.no_grad():
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return costs


def energy(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> float:
    """Joules of one inference in all convolutions and linear layers, estimated."""
    return sum(cost.joules for cost in layer_costs(model, inputs).values())


def _cost(module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> LayerCost:
    """Every output value (input value, of a transposed convolution) meets one filter's values."""
    weight: torch.Tensor = module.weight
    driving = x if getattr(module, "transposed", False) else y
    macs = driving.numel() * weight[0].numel()
    return LayerCost(macs, weight.numel() + x.numel() + y.numel())
