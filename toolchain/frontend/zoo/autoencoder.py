"""The fully connected autoencoder of MLPerf Tiny's anomaly detection. Needs torch."""

from __future__ import annotations

from torch import nn

from toolchain.frontend.zoo.layers import EPSILON

#: Widths of the hidden layers.
HIDDEN = (128, 128, 128, 128, 8, 128, 128, 128, 128)


def fc_autoencoder(features: int = 640) -> nn.Module:
    """Nine hidden layers with batch normalisation and ReLU around a bottleneck of 8; the input again comes out.

    Takes (N, features): five log-mel frames of 128 bands in the benchmark.

    Source: mlcommons/tiny, ``benchmark/training/anomaly_detection/keras_model.py``.
    """
    layers: list[nn.Module] = []
    width = features
    for wider in HIDDEN:
        layers += [nn.Linear(width, wider), nn.BatchNorm1d(wider, eps=EPSILON), nn.ReLU()]
        width = wider
    return nn.Sequential(*layers, nn.Linear(width, features))
