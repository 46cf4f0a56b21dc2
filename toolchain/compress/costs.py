"""What a torch model costs to store, counted on its weights. Imports torch lazily."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def model_bytes(model: torch.nn.Module, *, packed: bool = True) -> int:
    """Bytes of all parameters and buffers.

    Args:
        model: masks must be folded into its weights.
        packed: tensors with zeros count as one bit per value and the values that are not zero, where that is less:
            the plainest sparse format. False counts every value.
    """
    total = 0
    for value in model.state_dict().values():
        dense = value.numel() * value.element_size()
        zeros = int((value == 0).sum()) if packed and value.is_floating_point() else 0
        sparse = -(-value.numel() // 8) + (value.numel() - zeros) * value.element_size()
        total += min(dense, sparse) if zeros else dense
    return total


def zero_share(model: torch.nn.Module) -> float:
    """Share of the weights with two axes or more that are exactly zero."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    count = sum(p.numel() for p in weights)
    return sum(int((p == 0).sum()) for p in weights) / count if count else 0.0
