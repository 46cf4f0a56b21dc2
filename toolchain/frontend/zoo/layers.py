"""Layers that the zoo's networks share. Needs torch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

#: Keras' default for batch normalisation, which the reference models were trained with.
EPSILON = 1e-3


class SameConv2d(nn.Conv2d):  # type: ignore[misc]
    """A convolution with TensorFlow's SAME padding, from NCHW to NCHW of size ceil(n / stride).

    SAME puts the odd pixel below and to the right (TensorFlow API guide on ``tf.nn.convolution``,
    notes on padding), which ``nn.Conv2d`` cannot say for strides above 1: there, the input is padded
    first. Both exporters fold that padding into the convolution, whereas a symmetric padding would
    become an operator of its own in TFLite.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int],
        stride: int | tuple[int, int] = 1,
        groups: int = 1,
        *,
        bias: bool = True,
    ) -> None:
        symmetric = stride in (1, (1, 1)) and all(size % 2 == 1 for size in kernel)
        padding = tuple(size // 2 for size in kernel) if symmetric else 0
        super().__init__(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=bias)
        self.explicit = not symmetric

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad where needed, then convolve."""
        if self.explicit:
            top, bottom = _same(x.shape[2], self.kernel_size[0], self.stride[0])
            left, right = _same(x.shape[3], self.kernel_size[1], self.stride[1])
            if top or bottom or left or right:
                x = functional.pad(x, (left, right, top, bottom))
        return super().forward(x)


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class GlobalAvgPool(nn.Module):  # type: ignore[misc]
    """The mean over height and width, from (N, C, H, W) to (N, C).

    One pooling window as large as the image, as in the reference models: it exports to AveragePool
    (ONNX) and AVERAGE_POOL_2D (TFLite), which have int8 kernels everywhere.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool and flatten."""
        return torch.flatten(functional.avg_pool2d(x, x.shape[2:]), 1)


class ImageAvgPool(nn.Module):  # type: ignore[misc]
    """The mean over height and width, from (N, C, H, W) to (N, C, 1, 1), as one pooling window."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool."""
        return functional.avg_pool2d(x, x.shape[2:])


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel: tuple[int, int], stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """SAME convolution with bias, batch normalisation, ReLU."""
    return nn.Sequential(
        SameConv2d(in_channels, out_channels, kernel, stride, groups),
        nn.BatchNorm2d(out_channels, eps=EPSILON),
        nn.ReLU(),
    )


def conv_bn(in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """SAME convolution without bias, then batch normalisation, as in networks that were published in torch."""
    return nn.Sequential(
        SameConv2d(in_channels, out_channels, (kernel, kernel), stride, groups, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def separable(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 depthwise block and a 1x1 pointwise block, each with batch normalisation and ReLU."""
    return nn.Sequential(
        *conv_bn_relu(in_channels, in_channels, (3, 3), stride, groups=in_channels),
        *conv_bn_relu(in_channels, out_channels, (1, 1)),
    )


def he_normal(model: nn.Module) -> nn.Module:
    """Initialise weights as in He et al. 2015 (equation 10), biases with 0; returns the model."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model
