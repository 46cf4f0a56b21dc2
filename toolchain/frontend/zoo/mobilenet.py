"""MobileNetV1 with a quarter of the channels, as in MLPerf Tiny's visual wake words. Needs torch."""

from __future__ import annotations

from torch import nn

from toolchain.frontend.zoo.layers import GlobalAvgPool, conv_bn_relu, he_normal, separable

#: (output channels, stride) of the thirteen separable blocks: table 1 of arXiv:1704.04861, times 0.25.
BLOCKS = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1))


def mobilenet_v1_025(classes: int = 2, in_channels: int = 3) -> nn.Module:
    """MobileNetV1, width multiplier 0.25; logits out.

    Takes (N, in_channels, H, W), 96x96 in the benchmark. The activation is ReLU, as in the
    reference, which also applies a softmax that is left out here.

    Source: mlcommons/tiny, ``benchmark/training/visual_wake_words/vww_model.py``.
    """
    blocks = []
    channels = 8
    for wider, stride in BLOCKS:
        blocks.append(separable(channels, wider, stride))
        channels = wider
    stem = conv_bn_relu(in_channels, 8, (3, 3), stride=2)
    return he_normal(nn.Sequential(stem, *blocks, GlobalAvgPool(), nn.Linear(channels, classes)))
