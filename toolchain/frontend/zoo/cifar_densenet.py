"""DenseNet-BC of 40 layers with growth rate 12, for images of 32x32. Needs torch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from toolchain.frontend.zoo.layers import GlobalAvgPool, SameConv2d, he_normal

GROWTH = 12


class DenseLayer(nn.Module):  # type: ignore[misc]
    """Normalise, ReLU, 1x1 to 4 x growth channels; normalise, ReLU, 3x3 to growth channels; behind the input."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(),
            SameConv2d(in_channels, 4 * GROWTH, (1, 1), bias=False),
            nn.BatchNorm2d(4 * GROWTH),
            nn.ReLU(),
            SameConv2d(4 * GROWTH, GROWTH, (3, 3), bias=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From (N, in, H, W) to (N, in + growth, H, W)."""
        return torch.cat([x, self.layers(x)], 1)


class Transition(nn.Module):  # type: ignore[misc]
    """Normalise, ReLU, 1x1 to half of the channels, 2x2 average pooling."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(in_channels), nn.ReLU(), SameConv2d(in_channels, in_channels // 2, (1, 1), bias=False)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From (N, in, H, W) to (N, in / 2, H / 2, W / 2)."""
        return functional.avg_pool2d(self.layers(x), 2)


def densenet40(classes: int = 10, in_channels: int = 3) -> nn.Module:
    """Three dense blocks of six bottleneck layers, halved in between (Huang et al. 2017, sections 3 and 4.2).

    Takes (N, in_channels, H, W), 32x32 in the paper; logits out. This is the variant BC, which has a sixth of the
    parameters of the plain DenseNet-40.
    """
    channels = 2 * GROWTH
    layers: list[nn.Module] = [SameConv2d(in_channels, channels, (3, 3), bias=False)]
    for block in range(3):
        for _ in range(6):
            layers.append(DenseLayer(channels))
            channels += GROWTH
        if block < 2:
            layers.append(Transition(channels))
            channels //= 2
    head = (nn.BatchNorm2d(channels), nn.ReLU(), GlobalAvgPool(), nn.Linear(channels, classes))
    return he_normal(nn.Sequential(*layers, *head))
