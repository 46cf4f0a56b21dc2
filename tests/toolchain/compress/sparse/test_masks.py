"""Masks go on and come off; the model is the same but for the zeros."""

import copy

import pytest
import torch
from torch.nn.utils import parametrize

from profiles.errors import ConfigError, ModelError
from toolchain.compress.sparse.masks import Masks, prunable


def test_masks_that_are_all_true_change_nothing(make_net):
    model, x = make_net(), torch.randn(2, 4, 6, 6)
    expected, state = model(x), copy.deepcopy(model.state_dict())
    masks = Masks(model)
    assert torch.equal(model(x), expected)
    masks.fold()
    assert list(model.state_dict()) == list(state), "names and their order come back"
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_a_folded_model_is_plain_and_computes_what_the_masked_one_did(make_net):
    model, x = make_net(), torch.randn(2, 4, 6, 6)
    plain = {name: type(module) for name, module in model.named_modules()}
    masks = Masks(model)
    masks.set([torch.rand(mask.shape) < 0.5 for mask in masks.masks()])
    wanted = [(layer.weight * layer.mask).detach().clone() for layer in masks.layers]
    masked = model(x)
    masks.fold()
    assert torch.equal(model(x), masked)
    assert {name: type(module) for name, module in model.named_modules()} == plain
    assert not any(parametrize.is_parametrized(module) for module in model.modules())
    for module, weight in zip((model[0], model[3], model[7]), wanted, strict=True):
        assert torch.equal(module.weight, weight)
        assert not torch.signbit(module.weight[module.weight == 0]).any(), "zeros are +0, whose bytes are zero"
        assert isinstance(module.weight, torch.nn.Parameter) and module.weight.requires_grad


def test_a_folded_model_is_exported_as_any_other(make_net):
    model, x = make_net(), torch.randn(1, 4, 6, 6)
    masks = Masks(model)
    masks.keep_largest(masks.magnitudes(), 0.5, "global")
    masks.fold()
    program = torch.export.export(model, (x,))
    assert set(program.state_dict) == set(make_net().state_dict())
    assert torch.allclose(program.module()(x), model(x))


def test_the_gradient_goes_straight_through():
    """y = (w * m) x: dL/dw is dL/dy x for all weights, masked or not."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 2, bias=False))
    masks = Masks(model)
    masks.set([torch.tensor([[True, False, True], [False, False, False]])])
    x = torch.tensor([[1.0, 2.0, 3.0]])
    model(x).mul(torch.tensor([1.0, 10.0])).sum().backward()
    assert torch.equal(masks.layers[0].weight.grad, torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]))


def test_what_is_masked_has_the_lowest_magnitude_of_all():
    model = torch.nn.Sequential(torch.nn.Linear(4, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[0.0, -2.0, 1.0, 9.0]]))
    masks = Masks(model)
    masks.set([torch.tensor([[True, True, True, False]])])
    masks.keep_largest(masks.magnitudes(), 0.25, "layer")
    assert masks.masks()[0].tolist() == [[True, True, True, False]], "not the weight that is 0 and counts"
    masks.keep_largest(masks.magnitudes(), 0.5, "layer")
    assert masks.masks()[0].tolist() == [[False, True, True, False]]


class Odd(torch.nn.Module):
    """With weights that must stay as they are, for four reasons."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(4, 4)
        self.second = torch.nn.Linear(4, 4)
        self.tied = torch.nn.Linear(4, 4)
        self.tied.weight = self.second.weight
        self.computed = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 4))
        self.table = torch.nn.Embedding(5, 4)
        self.last = torch.nn.Linear(4, 4)


def test_what_stays_dense_says_why():
    layers, dense = prunable(Odd(), exclude=["la*"])
    assert list(layers) == ["first"]
    assert dense == {
        "second": "its weight is shared with another layer",
        "tied": "its weight is shared with another layer",
        "computed": "its weight is computed from others",
        "last": "excluded",
        "table.weight": "neither convolution nor linear layer",
    }


def test_a_layer_that_is_called_twice_has_one_mask():
    layer = torch.nn.Linear(4, 4)
    assert len(Masks(torch.nn.Sequential(layer, torch.nn.ReLU(), layer)).layers) == 1


def test_a_name_that_fits_nothing_is_refused(make_net):
    with pytest.raises(ConfigError, match="exclude names a layer") as caught:
        Masks(make_net(), ["0", "frist"])
    assert "'frist'" in str(caught.value) and "0, 3, 7" in str(caught.value)


@pytest.mark.parametrize("model", [torch.nn.Sequential(torch.nn.ReLU()), torch.nn.Embedding(3, 4)])
def test_nothing_to_mask_is_an_error(model):
    with pytest.raises(ModelError, match="wanted a convolution or linear layer"):
        Masks(model)


def test_everything_excluded_is_an_error(make_net):
    with pytest.raises(ModelError, match="0: excluded"):
        Masks(make_net(), ["*"])
