"""DS-CNN as in MLPerf Tiny's keyword spotting. Needs torch."""

from __future__ import annotations

from torch import nn

from toolchain.frontend.zoo.layers import GlobalAvgPool, conv_bn_relu, he_normal, separable


def dscnn(classes: int = 12, in_channels: int = 1) -> nn.Module:
    """A 10x4 convolution with stride 2, then four depthwise separable blocks of 64 channels; logits out.

    Takes (N, in_channels, time, features): 49 frames of 10 MFCCs in the benchmark. The reference
    applies a softmax, which is left out here.

    Source: mlcommons/tiny, ``benchmark/training/keyword_spotting/keras_model.py``.
    """
    return he_normal(
        nn.Sequential(
            conv_bn_relu(in_channels, 64, (10, 4), stride=2),
            nn.Dropout(0.2),
            *(separable(64, 64) for _ in range(4)),
            nn.Dropout(0.4),
            GlobalAvgPool(),
            nn.Linear(64, classes),
        )
    )
