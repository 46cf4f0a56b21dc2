"""MicroNet-M0 with its micro-factorized convolutions and Dynamic Shift-Max, for images of 32x32. Needs torch.

Li et al. 2021, "MicroNet: Improving Image Recognition with Extremely Low FLOPs", arXiv:2108.05894.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from toolchain.frontend.zoo.layers import GlobalAvgPool, SameConv2d

#: (output channels, kernel, stride, groups) of blocks that widen by a depthwise convolution (Micro-Block-A).
LITE = ((8, 3, 1, 2), (12, 3, 2, 4), (16, 5, 2, 4))
#: The same of those that widen by a grouped pointwise convolution, which also come in front (Micro-Block-B and C).
FULL = ((32, 5, 1, 4), (64, 5, 2, 8), (96, 3, 1, 8))
#: Channels and groups of the last pointwise convolution.
LAST = (384, 12)


class DynamicShiftMax(nn.Module):  # type: ignore[misc]
    """y_i = max over k of the sum over j of a^k_ij(x) x_((i + j C/G) mod C), equation 4 of the paper.

    An activation that mixes every channel i with one of the next group of C/G channels, by factors that depend on
    the sample: a = a0 + 2 sigmoid(h(mean(x))) - 1, where h are two pointwise convolutions. a0 is 1 for the first of
    the K J terms, else 0, so that K = 2 starts near max(x, 0).

    Args:
        channels: C.
        groups: G.
        terms: J, how many channels are summed.
        maxima: K, how many sums compete; with 1 there is no maximum.
        reduction: h has C / reduction channels inside, at least 4.
    """

    def __init__(self, channels: int, groups: int, *, terms: int = 2, maxima: int = 2, reduction: int = 8) -> None:
        super().__init__()
        self.shift, self.terms, self.maxima = channels // groups, terms, maxima
        hidden, wanted = max(4, channels // reduction), channels * terms * maxima
        self.factors = nn.Sequential(
            SameConv2d(channels, hidden, (1, 1)), nn.ReLU(), SameConv2d(hidden, wanted, (1, 1)), nn.Sigmoid()
        )
        first = (torch.arange(wanted) < channels).float()
        self.register_buffer("start", first[None, :, None, None], persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From (N, C, H, W) to the same shape."""
        a = self.start + (2 * self.factors(functional.avg_pool2d(x, x.shape[2:])) - 1)
        parts = a.chunk(self.terms * self.maxima, 1)
        shifted = [_shifted(x, j * self.shift % x.shape[1]) for j in range(self.terms)]
        sums = [_weighted(shifted, parts[k * self.terms : (k + 1) * self.terms]) for k in range(self.maxima)]
        return functools.reduce(torch.maximum, sums)


def _weighted(values: Sequence[torch.Tensor], factors: Sequence[torch.Tensor]) -> torch.Tensor:
    return functools.reduce(torch.add, [x * a for x, a in zip(values, factors, strict=True)])


def _shifted(x: torch.Tensor, by: int) -> torch.Tensor:
    """Channel i of the result is channel (i + by) mod C."""
    return torch.cat([x[:, by:], x[:, :by]], 1) if by else x


class Shuffle(nn.Module):  # type: ignore[misc]
    """The permutation between two grouped convolutions: channel (g, i) of G groups of n moves to (i, g)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From (N, C, H, W) to the same shape."""
        samples, channels, height, width = x.shape
        split = x.reshape(samples, self.groups, channels // self.groups, height, width)
        return split.transpose(1, 2).reshape(samples, channels, height, width)


def factorized_depthwise(channels: int, expansion: int, kernel: int, stride: int) -> nn.Sequential:
    """k x 1, then 1 x k: a depthwise kernel of rank 1. Each of the two has ``expansion`` filters per channel."""
    wide = channels * expansion
    return nn.Sequential(
        SameConv2d(channels, wide, (kernel, 1), (stride, 1), channels, bias=False),
        nn.BatchNorm2d(wide),
        SameConv2d(wide, wide * expansion, (1, kernel), (1, stride), wide, bias=False),
        nn.BatchNorm2d(wide * expansion),
    )


def _grouped(in_channels: int, out_channels: int, groups: int) -> nn.Sequential:
    """One factor of a micro-factorized pointwise convolution W = P Phi Q^T: block-diagonal, then normalised."""
    return nn.Sequential(
        SameConv2d(in_channels, out_channels, (1, 1), 1, groups, bias=False), nn.BatchNorm2d(out_channels)
    )


def _lite(channels: int, wider: int, kernel: int, stride: int, groups: int) -> nn.Sequential:
    wide = 4 * channels
    return nn.Sequential(
        *factorized_depthwise(channels, 2, kernel, stride),
        DynamicShiftMax(wide, groups),
        Shuffle(wide // groups),
        *_grouped(wide, wider, groups),
    )


def _full(channels: int, wider: int, kernel: int, stride: int, groups: int) -> nn.Sequential:
    wide = 4 * channels
    return nn.Sequential(
        *_grouped(channels, wide, groups),
        DynamicShiftMax(wide, groups),
        Shuffle(groups),
        *factorized_depthwise(wide, 1, kernel, stride),
        DynamicShiftMax(wide, groups),
        *_grouped(wide, wider, groups),
        DynamicShiftMax(wider, groups, maxima=1),
        Shuffle(groups),
    )


def micronet_m0(classes: int = 10, in_channels: int = 3) -> nn.Module:
    """MicroNet-M0; from (N, in_channels, H, W) to logits (N, classes).

    Widths, kernels and groups are the paper's; the first two strides and the hidden layer before the classes are left
    out, because images are 32x32 and there are few classes.
    """
    stem = nn.Sequential(
        SameConv2d(in_channels, 2, (3, 1), bias=False),
        nn.BatchNorm2d(2),
        SameConv2d(2, 4, (1, 3), 1, 2, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU6(),
    )
    blocks, channels = [], 4
    for make, rows in ((_lite, LITE), (_full, FULL)):
        for wider, kernel, stride, groups in rows:
            blocks.append(make(channels, wider, kernel, stride, groups))
            channels = wider
    width, groups = LAST
    head = (*_grouped(channels, width, groups), DynamicShiftMax(width, groups), GlobalAvgPool())
    return _initialised(nn.Sequential(stem, *blocks, *head, nn.Linear(width, classes)))


def _initialised(model: nn.Module) -> nn.Module:
    """Variance as it comes in (most layers here have no activation behind them), and factors near their start."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, DynamicShiftMax):
            nn.init.normal_(module.factors[2].weight, std=0.05)
    return model
