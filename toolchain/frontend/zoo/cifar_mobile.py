"""Half as wide MobileNetV2 and EfficientNet-B0 with strides for images of 32x32. Needs torch.

Both shrink 32x32 images to 4x4, where the originals shrink 224x224 to 7x7: the first two strides are left out.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from toolchain.frontend.zoo.layers import GlobalAvgPool, SameConv2d, conv_bn, he_normal

#: (expansion, channels, blocks, stride, kernel): Sandler et al. 2018, table 2; channels times 0.5, to multiples of 8.
MOBILE_STAGES = (
    (1, 8, 1, 1, 3),
    (6, 16, 2, 1, 3),
    (6, 16, 3, 2, 3),
    (6, 32, 4, 2, 3),
    (6, 48, 3, 1, 3),
    (6, 80, 3, 2, 3),
    (6, 160, 1, 1, 3),
)
#: The same of Tan & Le 2019, table 1.
EFFICIENT_STAGES = (
    (1, 8, 1, 1, 3),
    (6, 16, 2, 1, 3),
    (6, 24, 2, 2, 5),
    (6, 40, 3, 2, 3),
    (6, 56, 3, 1, 5),
    (6, 96, 4, 2, 5),
    (6, 160, 1, 1, 3),
)


class SqueezeExcite(nn.Module):  # type: ignore[misc]
    """Scale every channel by a gate from 0 to 1 that all channels' means decide (Hu et al. 2018)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            SameConv2d(channels, hidden, (1, 1)), nn.SiLU(), SameConv2d(hidden, channels, (1, 1)), nn.Sigmoid()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From (N, C, H, W) to the same shape."""
        return x * self.gate(functional.avg_pool2d(x, x.shape[2:]))


class InvertedResidual(nn.Module):  # type: ignore[misc]
    """1x1 wider, depthwise, 1x1 narrower without an activation; a shortcut where the shape stays.

    Args:
        in_channels, out_channels, expansion, stride, kernel: of the block.
        activation: after the first two convolutions.
        squeeze: with a squeeze-and-excitation of a quarter of the input's channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion: int,
        stride: int,
        *,
        kernel: int,
        activation: type[nn.Module],
        squeeze: bool,
    ) -> None:
        super().__init__()
        wide = in_channels * expansion
        layers = [*conv_bn(in_channels, wide, 1), activation()] if expansion > 1 else []
        layers += [*conv_bn(wide, wide, kernel, stride, groups=wide), activation()]
        layers += [SqueezeExcite(wide, max(1, in_channels // 4))] if squeeze else []
        self.layers = nn.Sequential(*layers, *conv_bn(wide, out_channels, 1))
        self.residual = in_channels == out_channels and stride == 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From (N, in, H, W) to (N, out, H / stride, W / stride)."""
        return x + self.layers(x) if self.residual else self.layers(x)


def _network(
    stages: tuple[tuple[int, int, int, int, int], ...],
    classes: int,
    in_channels: int,
    activation: type[nn.Module],
    *,
    squeeze: bool,
) -> nn.Module:
    channels, head = 16, 640
    layers: list[nn.Module] = [nn.Sequential(*conv_bn(in_channels, channels), activation())]
    for expansion, wider, blocks, stride, kernel in stages:
        for index in range(blocks):
            step = stride if index == 0 else 1
            block = InvertedResidual(
                channels, wider, expansion, step, kernel=kernel, activation=activation, squeeze=squeeze
            )
            layers.append(block)
            channels = wider
    layers += [*conv_bn(channels, head, 1), activation(), GlobalAvgPool(), nn.Dropout(0.2), nn.Linear(head, classes)]
    return he_normal(nn.Sequential(*layers))


def mobilenetv2_cifar(classes: int = 10, in_channels: int = 3) -> nn.Module:
    """MobileNetV2, width 0.5; from (N, in_channels, H, W) to logits (N, classes). ReLU6 as in the paper."""
    return _network(MOBILE_STAGES, classes, in_channels, nn.ReLU6, squeeze=False)


def efficientnet_cifar(classes: int = 10, in_channels: int = 3) -> nn.Module:
    """EfficientNet-B0, width 0.5; from (N, in_channels, H, W) to logits (N, classes). SiLU as in the paper."""
    return _network(EFFICIENT_STAGES, classes, in_channels, nn.SiLU, squeeze=True)
