"""Networks whose weights depend on the sample, against their formulas by brute force."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from toolchain.frontend import ZOO
from toolchain.frontend.zoo.condconv import CondConv2d
from toolchain.frontend.zoo.micronet import DynamicShiftMax, Shuffle, factorized_depthwise


def brute_force_shift_max(x, a, groups):
    """Equation 4 of arXiv:2108.05894, index by index; a is (N, K, J, C)."""
    samples, channels, height, width = x.shape
    y = np.full(x.shape, -np.inf)
    for n, i, row, column in np.ndindex(samples, channels, height, width):
        for k in range(a.shape[1]):
            terms = range(a.shape[2])
            values = (a[n, k, j, i] * x[n, (i + j * channels // groups) % channels, row, column] for j in terms)
            y[n, i, row, column] = max(y[n, i, row, column], sum(values))
    return y


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([(4, 2), (6, 3), (8, 8), (6, 1)]), st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
def test_dynamic_shift_max(sizes, terms, maxima, seed):
    channels, groups = sizes
    torch.manual_seed(seed)
    layer = DynamicShiftMax(channels, groups, terms=terms, maxima=maxima).double()
    x = torch.randn(2, channels, 3, 2, dtype=torch.float64)
    with torch.no_grad():
        a = 2 * layer.factors(x.mean((2, 3), keepdim=True)).reshape(2, maxima, terms, channels) - 1
        a[:, 0, 0] += 1
        np.testing.assert_allclose(layer(x).numpy(), brute_force_shift_max(x.numpy(), a.numpy(), groups), atol=1e-12)


def test_dynamic_shift_max_starts_as_relu_where_the_factors_are_undecided():
    layer = DynamicShiftMax(4, 2)
    torch.nn.init.zeros_(layer.factors[2].weight)
    torch.nn.init.zeros_(layer.factors[2].bias)
    x = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(layer(x), x.relu())


def test_a_factorized_depthwise_convolution_has_kernels_of_rank_one():
    layers = factorized_depthwise(3, 1, 5, 1).double().eval()
    for norm in (layers[1], layers[3]):
        norm.running_var.fill_(1 - norm.eps)
    kernel = layers[0].weight @ layers[2].weight
    x = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    torch.testing.assert_close(layers(x), functional.conv2d(x, kernel, padding=2, groups=3))


def test_grouped_convolutions_around_a_shuffle_make_one_matrix_without_gaps():
    """Section 3.1: with G = sqrt(C / R) groups, W = P Phi Q^T has G x G blocks of rank 1, none of them zero."""
    groups, channels = 2, 8
    squeeze = torch.nn.Conv2d(channels, groups**2, 1, groups=groups, bias=False).double()
    expand = torch.nn.Conv2d(groups**2, channels, 1, groups=groups, bias=False).double()
    with torch.no_grad():
        eye = torch.eye(channels, dtype=torch.float64)[:, :, None, None]
        matrix = expand(Shuffle(groups)(squeeze(eye)))[:, :, 0, 0].T
    side = channels // groups
    blocks = matrix.reshape(groups, side, groups, side).transpose(1, 2).reshape(-1, side, side)
    assert [int(torch.linalg.matrix_rank(block)) for block in blocks] == [1] * groups**2


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.sampled_from([1, 3]), st.integers(0, 99))
def test_conditional_convolution_is_one_convolution_per_sample_with_its_own_kernel(samples, experts, kernel, seed):
    torch.manual_seed(seed)
    layer = CondConv2d(3, 5, kernel, experts).double().eval()
    x = torch.randn(samples, 3, 4, 6, dtype=torch.float64)
    with torch.no_grad():
        expected = []
        for sample in x:
            a = torch.sigmoid(layer.route[1](sample.mean((1, 2))))
            mixed = sum(a[i] * expert.weight for i, expert in enumerate(layer.experts))
            expected.append(functional.conv2d(sample[None], mixed, padding=kernel // 2))
        torch.testing.assert_close(layer(x), torch.cat(expected))
        torch.testing.assert_close(layer.train()(x), torch.cat(expected))


def test_constant_kernels_compute_the_same_network():
    torch.manual_seed(0)
    mixed, static = ZOO["condconv_mobilenet"].build().eval(), ZOO["condconv_mobilenet_static"].build().eval()
    static.load_state_dict(mixed.state_dict())
    x = torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(static(x), mixed(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["micronet_m0", "condconv_mobilenet"])
def test_samples_of_a_batch_do_not_touch_each_other(name):
    torch.manual_seed(0)
    model, x = ZOO[name].build().double().eval(), torch.randn(2, 3, 32, 32, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(model(x)[1:], model(x[1:]), rtol=1e-6, atol=1e-9)
