"""Activations after a convolution, pooling, and normalisation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

IMAGE = {"image": (1, 8, 12, 12)}
ODD = {"image": (1, 8, 13, 11)}


def after_conv(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """The layer behind a 1×1 convolution, where engines like to fuse it."""
    return lambda: nn.Sequential(nn.Conv2d(8, 8, 1), make())


class Flat(nn.Module):
    """A layer on the last axis of a vector, behind a linear layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.linear, self.layer = nn.Linear(16, 12), layer

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layer(self.linear(features))


FEATURES = {"features": (1, 16)}

LAYERS = {
    "relu": (after_conv(nn.ReLU), IMAGE),
    "relu6": (after_conv(nn.ReLU6), IMAGE),
    "leaky_relu": (after_conv(lambda: nn.LeakyReLU(0.1)), IMAGE),
    "prelu": (after_conv(lambda: nn.PReLU(8)), IMAGE),
    "elu": (after_conv(nn.ELU), IMAGE),
    "sigmoid": (after_conv(nn.Sigmoid), IMAGE),
    "tanh": (after_conv(nn.Tanh), IMAGE),
    "hard_sigmoid": (after_conv(nn.Hardsigmoid), IMAGE),
    "hard_swish": (after_conv(nn.Hardswish), IMAGE),
    "silu": (after_conv(nn.SiLU), IMAGE),
    "gelu": (after_conv(nn.GELU), IMAGE),
    "gelu_tanh": (after_conv(lambda: nn.GELU(approximate="tanh")), IMAGE),
    "softmax": (lambda: Flat(nn.Softmax(-1)), FEATURES),
    "softmax_channels": (after_conv(lambda: nn.Softmax(1)), IMAGE),
    "log_softmax": (lambda: Flat(nn.LogSoftmax(-1)), FEATURES),
    "max_pool": (lambda: nn.MaxPool2d(3, stride=2, padding=1), IMAGE),
    "max_pool_ceil": (lambda: nn.MaxPool2d(2, stride=2, ceil_mode=True), ODD),
    "avg_pool": (lambda: nn.AvgPool2d(2), IMAGE),
    "avg_pool_padded": (lambda: nn.AvgPool2d(3, stride=2, padding=1), IMAGE),
    "avg_pool_padded_between": (
        lambda: nn.Sequential(nn.Conv2d(8, 8, 1), nn.AvgPool2d(3, padding=1), nn.Conv2d(8, 8, 1)),
        IMAGE,
    ),
    "avg_pool_exclude_pad": (lambda: nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False), IMAGE),
    "avg_pool_ceil": (lambda: nn.AvgPool2d(2, stride=2, ceil_mode=True), ODD),
    "global_avg_pool": (lambda: nn.AdaptiveAvgPool2d(1), ODD),
    "adaptive_avg_pool": (lambda: nn.AdaptiveAvgPool2d((4, 3)), IMAGE),
    "adaptive_avg_pool_uneven": (lambda: nn.AdaptiveAvgPool2d(5), ODD),
    "adaptive_max_pool": (lambda: nn.AdaptiveMaxPool2d((4, 3)), IMAGE),
    "batch_norm": (lambda: nn.BatchNorm2d(8), IMAGE),
    "conv_batch_norm": (after_conv(lambda: nn.BatchNorm2d(8)), IMAGE),
    "layer_norm": (lambda: nn.LayerNorm(16), {"sequence": (1, 10, 16)}),
    "group_norm": (lambda: nn.GroupNorm(2, 8), IMAGE),
    "instance_norm": (lambda: nn.InstanceNorm2d(8, affine=True), IMAGE),
}
