"""The counter against closed forms."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from toolchain.frontend.macs import count


@settings(max_examples=25, deadline=None)
@given(
    groups=st.integers(1, 3),
    wide=st.integers(1, 3),
    out=st.integers(1, 3),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    size=st.integers(5, 9),
    batch=st.integers(1, 2),
)
def test_convolutions(groups, wide, out, kernel, stride, size, batch):
    layer = nn.Conv2d(groups * wide, groups * out, kernel, stride, groups=groups).eval()
    params, macs = count(layer, (torch.zeros(batch, groups * wide, size, size),))
    side = (size - kernel) // stride + 1
    assert params == groups * out * wide * kernel**2 + groups * out
    assert macs == batch * groups * out * side**2 * wide * kernel**2


@pytest.mark.parametrize(
    ("layer", "shapes", "expected"),
    [
        (nn.Linear(10, 20), [(3, 10)], 3 * 10 * 20),
        (nn.Conv1d(4, 8, 3), [(2, 4, 10)], 2 * 8 * 8 * 4 * 3),
        (nn.Conv2d(2, 3, 3, padding=2, dilation=2), [(1, 2, 6, 6)], 3 * 36 * 2 * 9),
        (nn.ConvTranspose2d(8, 4, 3, stride=2), [(1, 8, 5, 5)], 25 * 8 * 4 * 9),
        (nn.LSTM(10, 20), [(7, 1, 10)], 7 * 4 * 20 * (10 + 20)),
        (nn.GRU(10, 20), [(7, 1, 10)], 7 * 3 * 20 * (10 + 20)),
        (nn.MultiheadAttention(16, 4, batch_first=True), [(1, 9, 16)] * 3, 4 * 9 * 16 * 16 + 2 * 9 * 9 * 16),
        (
            nn.TransformerEncoderLayer(16, 4, 32, batch_first=True),
            [(1, 9, 16)],
            4 * 9 * 16 * 16 + 2 * 9 * 9 * 16 + 2 * 9 * 16 * 32,
        ),
        (nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3), nn.MaxPool2d(2)), [(1, 3, 8, 8)], 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_layers(layer, shapes, expected):
    _, macs = count(layer.eval(), [torch.zeros(shape) for shape in shapes])
    assert macs == expected


def test_functional_attention_is_counted():
    class Attention(nn.Module):
        def forward(self, x):
            return nn.functional.scaled_dot_product_attention(x, x, x)

    assert count(Attention().eval(), (torch.zeros(1, 2, 5, 4),)) == (0, 2 * 2 * 5 * 5 * 4)


def test_an_exported_program_counts_like_its_module():
    layer, x = nn.Conv2d(3, 4, 3).eval(), torch.zeros(1, 3, 8, 8)
    assert count(torch.export.export(layer, (x,)).module(), (x,)) == count(layer, (x,)) == (112, 36 * 4 * 27)


def test_switches_are_put_back():
    before = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    count(nn.Linear(2, 2), (torch.zeros(1, 2),))
    assert (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled) == before
