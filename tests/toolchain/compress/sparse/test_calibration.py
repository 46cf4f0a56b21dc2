"""Unfolded inputs times the flat weight are the layer's output; Hessians are their products."""

import numpy as np
import pytest
import torch

from profiles.errors import DataError
from toolchain.compress.sparse.calibration import columns_of, hessians, input_columns, refuse

LAYERS = [
    (torch.nn.Linear(6, 4), (5, 6)),
    (torch.nn.Linear(6, 4), (2, 3, 6)),
    (torch.nn.Conv2d(4, 6, 3), (2, 4, 7, 8)),
    (torch.nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2)), (2, 4, 7, 8)),
    (torch.nn.Conv2d(4, 6, 3, groups=2, padding="same"), (2, 4, 5, 5)),
    (torch.nn.Conv2d(4, 8, 3, groups=4, padding=1, padding_mode="reflect"), (2, 4, 5, 5)),
    (torch.nn.Conv2d(4, 4, 4, padding="same", padding_mode="circular"), (2, 4, 5, 5)),
    (torch.nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), (2, 4, 9)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_columns_times_the_flat_weight_are_the_output(layer, shape):
    x = torch.randn(shape)
    columns = input_columns(layer, x)
    groups = getattr(layer, "groups", 1)
    assert columns.shape[:2] == (groups, columns_of(layer))
    found = layer.weight.reshape(groups, -1, columns_of(layer)) @ columns
    found = found.reshape(layer.weight.shape[0], -1) + layer.bias[:, None]
    y = layer(x)
    expected = y.flatten(0, -2).T if isinstance(layer, torch.nn.Linear) else y.flatten(2).transpose(0, 1).flatten(1)
    assert torch.allclose(found, expected, atol=1e-5)


def test_hessians_are_those_of_the_samples(make_net, context):
    """All 64 training samples, in whatever batches."""
    model = make_net()
    layers = {"3": model[3], "7": model[7]}
    found = hessians(model, layers, context, 64, "a test")
    data = context.data.train
    x = torch.from_numpy(data.real(data.raw(np.arange(len(data)))))
    for name, layer in layers.items():
        given = model[: int(name)](x).detach()
        columns = input_columns(layer, given).double()
        assert torch.allclose(found[name], 2 * columns @ columns.mT, rtol=1e-4, atol=1e-3)
        assert found[name].dtype == torch.float64
    assert not model[3]._forward_pre_hooks


def test_without_data_there_is_no_hessian(make_net, bare):
    with pytest.raises(DataError, match="needs training samples"):
        hessians(make_net(), {}, bare, 8, "the method 'obs'")


@pytest.mark.parametrize("layer", [torch.nn.Conv3d(1, 1, 1), torch.nn.ConvTranspose2d(1, 1, 1)])
def test_layers_that_are_not_unfolded_are_refused(layer):
    assert refuse("x", layer).startswith("only linear")


def test_layers_too_wide_are_refused():
    assert refuse("x", torch.nn.Linear(8193, 1)) == "8193 inputs per output are more than 8192"
    assert refuse("x", torch.nn.Conv2d(64, 1, 3)) == ""
