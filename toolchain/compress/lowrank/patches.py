"""What a layer's weight is multiplied with, position by position."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from toolchain.compress.lowrank.stages import conv


class Patches(nn.Module):  # type: ignore[misc]
    """From a layer's input to (samples, positions, D), D = I kh kw as in the rows of its weight.

    A depthwise convolution with the unit kernels picks the values, so padding, stride and dilation are the layer's own.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.pick = None
        if isinstance(layer, nn.Conv2d):
            inner, kernel = layer.in_channels, layer.kernel_size
            unit = np.eye(kernel[0] * kernel[1]).reshape(-1, 1, *kernel)
            self.pick = conv(layer, np.tile(unit, (inner, 1, 1, 1)), height=True, width=True, groups=inner)
        self.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        if self.pick is None:
            return x.reshape(x.shape[0], -1, x.shape[-1])
        return rows(self.pick(x if x.ndim == 4 else x[None]))


def rows(y: torch.Tensor) -> torch.Tensor:
    """A layer's output, (N, C, H, W) or (N, ..., C) for linear layers, as (samples, positions, channels)."""
    if y.ndim == 4:
        return y.flatten(2).transpose(1, 2)
    return y.reshape(y.shape[0], -1, y.shape[-1])
