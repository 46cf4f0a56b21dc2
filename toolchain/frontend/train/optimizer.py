"""The optimizer with its schedule, and the memory layout. Imports torch inside functions only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from toolchain.frontend.specs import TrainSpec

if TYPE_CHECKING:
    import torch


def one_cycle(modules: Sequence[torch.nn.Module], spec: TrainSpec, total: int, device: str) -> tuple[Any, Any]:
    """SGD with Nesterov momentum, and one cycle of the learning rate; vectors and scalars do not decay."""
    import torch

    every = list(dict.fromkeys(p for module in modules for p in module.parameters() if p.requires_grad))
    groups = [
        {"params": [p for p in every if p.ndim > 1], "weight_decay": spec.weight_decay},
        {"params": [p for p in every if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=spec.lr, momentum=spec.momentum, nesterov=True, fused=device != "cpu")
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=spec.lr, total_steps=total + 1, cycle_momentum=False
    )
    return optimizer, schedule


def to_channels_last(model: torch.nn.Module) -> None:
    """Images are faster with their channels last; modules with tensors of five axes stay as they are."""
    import torch

    if all(value.ndim != 5 for value in model.state_dict().values()):
        model.to(memory_format=torch.channels_last)
