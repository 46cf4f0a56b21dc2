"""Random layers and their sites, in float64."""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import nn

from toolchain.compress.lowrank.sites import find
from toolchain.frontend.zoo.layers import SameConv2d

SIZE = 7


@st.composite
def convolutions(draw):
    """(layer, input): any kernel, stride, padding, dilation, bias and padding mode that fits 7 x 7 pixels."""
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    channels, kernel, stride, seed = draw(pair), draw(pair), draw(pair), draw(st.integers(0, 99))
    torch.manual_seed(seed)
    kind = draw(st.sampled_from(["plain", "same", "mode", "own"]))
    bias = draw(st.booleans())
    if kind == "own":
        layer = SameConv2d(channels[0] + 1, channels[1] + 2, kernel, draw(st.integers(1, 3)), bias=bias)
    elif kind == "same":
        layer = nn.Conv2d(channels[0] + 1, channels[1] + 2, kernel, padding="same", dilation=draw(pair), bias=bias)
    else:
        mode = draw(st.sampled_from(["reflect", "circular", "replicate"])) if kind == "mode" else "zeros"
        padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
        layer = nn.Conv2d(
            channels[0] + 1, channels[1] + 2, kernel, stride, padding, draw(pair), bias=bias, padding_mode=mode
        )
    return layer.double().eval(), torch.randn(2, channels[0] + 1, SIZE, SIZE, dtype=torch.float64)


@st.composite
def matrices(draw):
    """(linear layer, input)."""
    inner, out, seed = draw(st.integers(1, 6)), draw(st.integers(1, 6)), draw(st.integers(0, 99))
    torch.manual_seed(seed)
    return nn.Linear(inner, out, bias=draw(st.booleans())).double(), torch.randn(2, 3, inner, dtype=torch.float64)


LAYERS = st.one_of(convolutions(), convolutions(), matrices())


def site_of(layer, x):
    """The only site of a model that is one layer."""
    (site,), _ = find(layer, (x,))
    return site


def as_dense(layer, tensor):
    """The layer with another weight (O, I, kh, kw)."""
    import copy

    made = copy.deepcopy(layer)
    made.weight.data = torch.from_numpy(np.ascontiguousarray(tensor)).reshape(layer.weight.shape)
    return made


def metric_of(site, seed=0):
    """A random metric for it."""
    from toolchain.compress.lowrank.scheme import Metric

    random = np.random.default_rng(seed)
    out, inner, high, wide = site.tensor.shape

    def root(size):
        matrix = random.standard_normal((size, size + 3))
        values, vectors = np.linalg.eigh(matrix @ matrix.T / size + 0.1 * np.eye(size))
        return (vectors * np.sqrt(values)) @ vectors.T, (vectors / np.sqrt(values)) @ vectors.T

    (left, left_inverse), (right, right_inverse) = root(out), root(inner * high * wide)
    return Metric(left, right, left_inverse, right_inverse, *root(inner))
