"""ResNet-8 as in MLPerf Tiny's image classification. Needs torch."""

from __future__ import annotations

import torch
from torch import nn

from toolchain.frontend.zoo.layers import EPSILON, GlobalAvgPool, SameConv2d, conv_bn_relu, he_normal


class ResidualBlock(nn.Module):  # type: ignore[misc]
    """Two 3x3 convolutions with a shortcut, which is a 1x1 convolution (without normalisation) where shapes change."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.first = conv_bn_relu(in_channels, out_channels, (3, 3), stride)
        self.second = nn.Sequential(
            SameConv2d(out_channels, out_channels, (3, 3)), nn.BatchNorm2d(out_channels, eps=EPSILON)
        )
        same = in_channels == out_channels and stride == 1
        self.shortcut = nn.Identity() if same else SameConv2d(in_channels, out_channels, (1, 1), stride)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From (N, in, H, W) to (N, out, H / stride, W / stride)."""
        return self.relu(self.second(self.first(x)) + self.shortcut(x))


def resnet8(classes: int = 10, in_channels: int = 3) -> nn.Module:
    """ResNet-8: a stem and three residual blocks of 16, 32 and 64 channels; logits out.

    Takes (N, in_channels, H, W) with H and W of at least 4; 32x32 in the benchmark. The reference
    applies a softmax, which is left out here.

    Source: mlcommons/tiny, ``benchmark/training/image_classification/keras_model.py`` (16 filters).
    """
    return he_normal(
        nn.Sequential(
            conv_bn_relu(in_channels, 16, (3, 3)),
            ResidualBlock(16, 16, 1),
            ResidualBlock(16, 32, 2),
            ResidualBlock(32, 64, 2),
            GlobalAvgPool(),
            nn.Linear(64, classes),
        )
    )
