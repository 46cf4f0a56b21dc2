"""Conditionally parameterized convolutions, and a small MobileNetV1 with them. Needs torch.

Yang et al. 2019, arXiv:1904.04971: every sample mixes its own kernel from those of n experts,
y = (a_1 W_1 + ... + a_n W_n) * x with a = sigmoid(R mean(x)). A convolution is linear in its kernel, so the same
number comes from mixing outputs, y = a_1 (W_1 * x) + ... + a_n (W_n * x): n times the work, but with constant kernels.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from toolchain.frontend.zoo.layers import GlobalAvgPool, SameConv2d, conv_bn, he_normal
from toolchain.frontend.zoo.mobilenet import BLOCKS

#: Kernels to choose from; the last blocks of the network choose.
EXPERTS, CONDITIONAL_BLOCKS = 4, 6


class CondConv2d(nn.Module):  # type: ignore[misc]
    """A convolution without bias whose kernel is mixed for every sample.

    Args:
        in_channels, out_channels: C and O.
        kernel: height and width.
        experts: n, kernels of (O, C, height, width) each.
        static: mix outputs, not kernels, also outside training: for engines that want constant kernels. Training
            always does: for few experts it is faster than one group of channels per sample (section 3.2).
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 1, experts: int = EXPERTS, *, static: bool = False
    ) -> None:
        super().__init__()
        self.route = nn.Sequential(GlobalAvgPool(), nn.Linear(in_channels, experts), nn.Sigmoid())
        self.experts = nn.ModuleList(
            SameConv2d(in_channels, out_channels, (kernel, kernel), bias=False) for _ in range(experts)
        )
        self.static = static

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From (N, C, H, W) to (N, O, H, W)."""
        routing = self.route(x)
        return self._mix_outputs(x, routing) if self.static or self.training else self._mix_kernels(x, routing)

    def _mix_outputs(self, x: torch.Tensor, routing: torch.Tensor) -> torch.Tensor:
        weights = routing[:, :, None, None]
        y = self.experts[0](x) * weights[:, 0:1]
        for index, expert in enumerate(self.experts[1:], 1):
            y = y + expert(x) * weights[:, index : index + 1]
        return y

    def _mix_kernels(self, x: torch.Tensor, routing: torch.Tensor) -> torch.Tensor:
        """Every sample is a group of channels of one convolution."""
        kernels = torch.stack([expert.weight for expert in self.experts])
        _, out_channels, in_channels, height, width = kernels.shape
        samples = x.shape[0]
        mixed = torch.matmul(routing, kernels.flatten(1)).reshape(-1, in_channels, height, width)
        grouped = x.reshape(1, samples * in_channels, *x.shape[2:])
        y = functional.conv2d(grouped, mixed, padding=(height // 2, width // 2), groups=samples)
        return y.reshape(samples, out_channels, *y.shape[2:])


def _block(in_channels: int, out_channels: int, stride: int, pointwise: nn.Module) -> nn.Sequential:
    depthwise = conv_bn(in_channels, in_channels, 3, stride, groups=in_channels)
    return nn.Sequential(*depthwise, nn.ReLU(), pointwise, nn.BatchNorm2d(out_channels), nn.ReLU())


def _network(classes: int, in_channels: int, *, static: bool) -> nn.Module:
    channels = 8
    layers: list[nn.Module] = [nn.Sequential(*conv_bn(in_channels, channels), nn.ReLU())]
    for index, (wider, stride) in enumerate(BLOCKS):
        conditional = index >= len(BLOCKS) - CONDITIONAL_BLOCKS
        pointwise = (
            CondConv2d(channels, wider, static=static)
            if conditional
            else SameConv2d(channels, wider, (1, 1), bias=False)
        )
        layers.append(_block(channels, wider, stride if index > 1 else 1, pointwise))
        channels = wider
    return he_normal(nn.Sequential(*layers, GlobalAvgPool(), nn.Linear(channels, classes)))


def condconv_mobilenet(classes: int = 10, in_channels: int = 3) -> nn.Module:
    """MobileNetV1 0.25 for 32x32, whose last six pointwise convolutions mix four kernels; logits out.

    Takes (N, in_channels, H, W). The first two strides of the original are left out.
    """
    return _network(classes, in_channels, static=False)


def condconv_mobilenet_static(classes: int = 10, in_channels: int = 3) -> nn.Module:
    """The same function of the same weights, with constant kernels and four times the work in those layers."""
    return _network(classes, in_channels, static=True)
