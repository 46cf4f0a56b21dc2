"""SAME padding against its definition, computed by brute force."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolchain.frontend.zoo.layers import GlobalAvgPool, SameConv2d


def same_convolution(x: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    """One channel in, one out: output (i, j) is centred as TensorFlow's guide says for SAME."""
    (height, width), (rows, columns) = x.shape, weight.shape
    out = np.zeros((-(-height // stride), -(-width // stride)))
    top = max((out.shape[0] - 1) * stride + rows - height, 0) // 2
    left = max((out.shape[1] - 1) * stride + columns - width, 0) // 2
    for i, j in np.ndindex(out.shape):
        for a, b in np.ndindex(rows, columns):
            y, z = i * stride + a - top, j * stride + b - left
            if 0 <= y < height and 0 <= z < width:
                out[i, j] += x[y, z] * weight[a, b]
    return out


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    stride=st.integers(1, 3),
)
def test_same_convolution(height, width, rows, columns, stride):
    layer = SameConv2d(1, 1, (rows, columns), stride).double()
    torch.nn.init.zeros_(layer.bias)
    x = torch.randn(1, 1, height, width, dtype=torch.float64)
    seen = layer(x)[0, 0].detach().numpy()
    expected = same_convolution(x[0, 0].numpy(), layer.weight[0, 0].detach().numpy(), stride)
    np.testing.assert_allclose(seen, expected, atol=1e-12)


def test_global_average():
    x = torch.randn(2, 3, 5, 7)
    torch.testing.assert_close(GlobalAvgPool()(x), x.mean(dim=(2, 3)))
