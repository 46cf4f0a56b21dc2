"""ResNet-20, 32 and 56, and wide ResNets, for images of 32x32. Needs torch.

Shortcuts are He et al.'s option B: where shapes change, a 1x1 convolution with batch normalisation. Their option A
(every second pixel, then zeros as new channels) ties the channels of all stages together at fixed places, so that
hardly a channel of the residual stream can be removed. B costs 2,752 parameters more (1.0 % of ResNet-20), and is
what the published pruning results on these networks use.
"""

from __future__ import annotations

import torch
from torch import nn

from toolchain.frontend.zoo.layers import GlobalAvgPool, SameConv2d, conv_bn, he_normal


class BasicBlock(nn.Module):  # type: ignore[misc]
    """Two 3x3 convolutions around a shortcut, ReLU after the sum."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(*conv_bn(in_channels, out_channels, 3, stride), nn.ReLU())
        self.second = conv_bn(out_channels, out_channels)
        same = in_channels == out_channels and stride == 1
        self.shortcut = nn.Identity() if same else conv_bn(in_channels, out_channels, 1, stride)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From (N, in, H, W) to (N, out, H / stride, W / stride)."""
        return self.relu(self.second(self.first(x)) + self.shortcut(x))


def _resnet(depth: int, classes: int, in_channels: int) -> nn.Module:
    """He et al. 2016, section 4.2: 6n + 2 layers, n blocks each at 16, 32 and 64 channels."""
    blocks: list[nn.Module] = []
    channels = 16
    for wider, stride in ((16, 1), (32, 2), (64, 2)):
        for index in range((depth - 2) // 6):
            blocks.append(BasicBlock(channels, wider, stride if index == 0 else 1))
            channels = wider
    stem = nn.Sequential(*conv_bn(in_channels, 16), nn.ReLU())
    return he_normal(nn.Sequential(stem, *blocks, GlobalAvgPool(), nn.Linear(64, classes)))


def resnet20(classes: int = 10, in_channels: int = 3) -> nn.Module:
    """Nine residual blocks; from (N, in_channels, H, W), 32x32 in the paper, to logits (N, classes)."""
    return _resnet(20, classes, in_channels)


def resnet32(classes: int = 10, in_channels: int = 3) -> nn.Module:
    """Fifteen residual blocks; from (N, in_channels, H, W), 32x32 in the paper, to logits (N, classes)."""
    return _resnet(32, classes, in_channels)


def resnet56(classes: int = 10, in_channels: int = 3) -> nn.Module:
    """27 residual blocks; from (N, in_channels, H, W), 32x32 in the paper, to logits (N, classes)."""
    return _resnet(56, classes, in_channels)


class WideBlock(nn.Module):  # type: ignore[misc]
    """Pre-activation: normalise and ReLU before both 3x3 convolutions; a 1x1 convolution where shapes change."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.activate = nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU())
        self.convolve = nn.Sequential(
            *conv_bn(in_channels, out_channels, 3, stride),
            nn.ReLU(),
            SameConv2d(out_channels, out_channels, (3, 3), bias=False),
        )
        self.changes = in_channels != out_channels or stride != 1
        if self.changes:
            self.shortcut = SameConv2d(in_channels, out_channels, (1, 1), stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From (N, in, H, W) to (N, out, H / stride, W / stride)."""
        active = self.activate(x)
        return self.convolve(active) + (self.shortcut(active) if self.changes else x)


def wrn16_1(classes: int = 10, in_channels: int = 3) -> nn.Module:
    """Wide ResNet of 16 layers, width 1: two blocks each at 16, 32 and 64 channels (Zagoruyko & Komodakis, table 1)."""
    blocks: list[nn.Module] = []
    channels = 16
    for wider, stride in ((16, 1), (32, 2), (64, 2)):
        blocks += [WideBlock(channels, wider, stride), WideBlock(wider, wider, 1)]
        channels = wider
    stem = SameConv2d(in_channels, 16, (3, 3), bias=False)
    head = (nn.BatchNorm2d(64), nn.ReLU(), GlobalAvgPool(), nn.Linear(64, classes))
    return he_normal(nn.Sequential(stem, *blocks, *head))
