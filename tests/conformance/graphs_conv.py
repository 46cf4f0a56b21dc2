"""Convolutions and linear layers, each in the variants that backends get wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional

IMAGE = {"image": (1, 8, 12, 12)}
SIGNAL = {"signal": (1, 8, 32)}


class PadThenConv(nn.Module):
    """Stride 2 after a pad of the far sides only, as TensorFlow's SAME does for even sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 16, 3, stride=2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.conv(functional.pad(image, (0, 1, 0, 1)))


class CausalConv(nn.Module):
    """A dilated convolution that sees the past only."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(8, 8, 3, dilation=2)

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        return self.conv(functional.pad(signal, (4, 0)))


class MatMul(nn.Module):
    """A product of two activations."""

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return left @ right


class Upsampling(nn.Module):
    """A transposed convolution on what a ReLU lets through, as decoders have it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.up = nn.Conv2d(8, 16, 1), nn.ConvTranspose2d(16, 16, 2, stride=2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.up(torch.relu(self.conv(image)))


def conv(*arguments: object, **options: object) -> Callable[[], nn.Module]:
    """A two-dimensional convolution, made when it is wanted."""
    return partial(nn.Conv2d, *arguments, **options)


CONVS = {
    "conv_1x1": (conv(8, 16, 1), IMAGE),
    "conv_3x3": (conv(8, 16, 3, padding=1), IMAGE),
    "conv_5x5": (conv(8, 8, 5, padding=2), IMAGE),
    "conv_valid": (conv(8, 16, 3), IMAGE),
    "conv_strided": (conv(8, 16, 3, stride=2, padding=1), IMAGE),
    "conv_one_sided_pad": (PadThenConv, IMAGE),
    "conv_same_even_kernel": (conv(8, 8, 4, padding="same"), IMAGE),
    "conv_rectangular": (conv(8, 8, (1, 5), padding=(0, 2)), {"image": (1, 8, 6, 14)}),
    "conv_dilated": (conv(8, 8, 3, padding=2, dilation=2), IMAGE),
    "conv_grouped": (conv(8, 16, 3, padding=1, groups=4), IMAGE),
    "conv_depthwise": (conv(8, 8, 3, padding=1, groups=8), IMAGE),
    "conv_depthwise_strided": (conv(8, 8, 3, stride=2, padding=1, groups=8), IMAGE),
    "conv_depthwise_multiplier": (conv(8, 16, 3, padding=1, groups=8), IMAGE),
    "conv_transposed": (partial(nn.ConvTranspose2d, 8, 8, 2, stride=2), IMAGE),
    "conv_transposed_after_relu": (Upsampling, IMAGE),
    "conv_transposed_overlap": (partial(nn.ConvTranspose2d, 8, 8, 3, stride=2, padding=1, output_padding=1), IMAGE),
    "conv_1d": (partial(nn.Conv1d, 8, 16, 3, padding=1), SIGNAL),
    "conv_1d_causal": (CausalConv, SIGNAL),
    "linear": (partial(nn.Linear, 32, 10), {"features": (1, 32)}),
    "linear_no_bias": (partial(nn.Linear, 32, 10, bias=False), {"features": (1, 32)}),
    "linear_sequence": (partial(nn.Linear, 16, 24), {"sequence": (1, 10, 16)}),
    "matmul_activations": (MatMul, {"left": (1, 4, 6, 8), "right": (1, 4, 8, 5)}),
}
