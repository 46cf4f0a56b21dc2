"""Feature maps of two models brought to one size, one width, or one vector per sample. All in float32."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

_WINDOWS: Any = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)
_ADAPTIVE: Any = (functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d)


def resize(features: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """Maps (N, C, *larger) pooled to (N, C, *size), by means over windows.

    The windows are equal where the sizes divide, and overlap where they do not. One to three spatial axes.
    """
    features = features.float()
    seen = tuple(features.shape[2:])
    if seen == size:
        return features
    pooled: torch.Tensor
    if all(a % b == 0 for a, b in zip(seen, size, strict=True)):
        pooled = _WINDOWS[len(size) - 1](features, tuple(a // b for a, b in zip(seen, size, strict=True)))
    else:
        pooled = _ADAPTIVE[len(size) - 1](features, size)
    return pooled


def same_size(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both maps at the smaller of the two sizes along every spatial axis; vectors (N, C) stay as they are."""
    size = tuple(min(a, b) for a, b in zip(first.shape[2:], second.shape[2:], strict=True))
    return resize(first, size), resize(second, size)


def embedding(features: torch.Tensor) -> torch.Tensor:
    """(N, C) in float32: the mean over the spatial axes of (N, C, …)."""
    features = features.float()
    return features.flatten(2).mean(2) if features.ndim > 2 else features


class Projection(torch.nn.Module):  # type: ignore[misc]
    """A trained linear map of channels, at every position alike (a 1x1 convolution): (N, a, …) to (N, b, …)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(inputs, outputs)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """In float32."""
        mapped: torch.Tensor = self.linear(features.float().movedim(1, -1)).movedim(-1, 1)
        return mapped


def matched(inputs: int, outputs: int) -> torch.nn.Module:
    """Nothing where the widths are equal, else a :class:`Projection`: for students with fewer channels."""
    return torch.nn.Identity() if inputs == outputs else Projection(inputs, outputs)
