"""Groups, their members, and the removal of channels, on nets small enough to see through."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence

import pytest
import torch
from torch import nn

from profiles.errors import ConfigError, ModelError
from toolchain.compress.structured.equivalence import check
from toolchain.compress.structured.groups import Group, Pruner
from toolchain.frontend.zoo.pytorchcv import without_inplace

X = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(5))


def _chain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Conv2d(6, 4, 3), nn.Flatten(), nn.Linear(16, 5)
    ).eval()


def _named(groups: Sequence[Group], name: str) -> Group:
    return next(group for group in groups if group.name == name)


def test_a_chain_has_one_group_per_layer_but_the_last() -> None:
    pruner = Pruner(_chain(), (X,))
    assert [(g.name, g.channels) for g in pruner.groups] == [("0", 6), ("3", 4)]
    places = [(m.name, m.axis, tuple(m.index.shape)) for m in pruner.groups[0].members]
    assert places == [("0", "out", (6, 1)), ("1", "norm", (6, 1)), ("3", "in", (6, 1))]
    assert pruner.left_out == (("5", "it is the model's output"),)


def test_a_flattened_channel_lives_at_every_pixel() -> None:
    linear = _named(Pruner(_chain(), (X,)).groups, "3").members[-1]
    assert (linear.name, linear.axis) == ("5", "in")
    assert torch.equal(linear.index, torch.arange(16).reshape(4, 4))


def test_weights_and_gradients_are_gathered_per_channel() -> None:
    net = _chain()
    pruner = Pruner(net, (X,))
    made, _, read = pruner.groups[0].members
    assert torch.equal(made.weights(), net[0].weight.reshape(6, -1))
    assert torch.equal(read.weights(), net[3].weight.transpose(0, 1).reshape(6, -1))
    assert made.gradients() is None
    made.weights().pow(2).sum().backward()
    assert torch.allclose(made.gradients(), 2 * net[0].weight.reshape(6, -1))


def test_a_removal_keeps_the_other_weights_as_they_are() -> None:
    net = _chain()
    before = copy.deepcopy(net)
    net[0].weight.requires_grad_(False)
    pruner = Pruner(net, (X,))
    assert pruner.remove({"0": [1, 4], "3": [0]}) is net
    stay, last = [0, 2, 3, 5], [1, 2, 3]
    assert torch.equal(net[0].weight, before[0].weight[stay])
    assert torch.equal(net[0].bias, before[0].bias[stay])
    assert torch.equal(net[1].running_var, before[1].running_var[stay])
    assert torch.equal(net[3].weight, before[3].weight[last][:, stay])
    assert torch.equal(net[5].weight, before[5].weight[:, 4:])
    assert (net[0].out_channels, net[1].num_features, net[3].in_channels, net[5].in_features) == (4, 4, 4, 12)
    assert not net[0].weight.requires_grad
    assert net[3].weight.requires_grad
    with pytest.raises(ConfigError, match="once"):
        pruner.remove({"3": [0]})


def test_batch_norm_shifts_go_with_their_channels() -> None:
    """With a shift, a zeroed filter still makes a constant: the check zeroes the shift too, so this passes."""
    net = _chain()
    with torch.no_grad():
        net[1].bias.fill_(3.0)
        net[1].running_mean.fill_(-2.0)
    Pruner(net, (X,)).remove({"0": [0, 1, 2]})
    assert net(X).shape == (2, 5)


def test_a_depthwise_convolution_loses_whole_groups() -> None:
    net = nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 12, 3, groups=6), nn.Conv2d(12, 2, 1)).eval()
    pruner = Pruner(net, (X,))
    assert [(m.name, m.axis, m.index.shape[1]) for m in pruner.groups[0].members] == [
        ("0", "out", 1), ("1", "out", 2), ("2", "in", 2)
    ]  # fmt: skip
    pruner.remove({"0": [0, 3]})
    assert (net[1].groups, net[1].in_channels, net[1].out_channels) == (4, 4, 8)


def test_a_grouped_convolution_loses_the_same_channels_of_every_group() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 12, 3, groups=2), nn.Conv2d(12, 2, 1)).eval()
    pruner = Pruner(net, (X,))
    assert [(g.name, g.channels) for g in pruner.groups] == [("0", 4), ("1", 6)]
    assert pruner.groups[0].members[0].index[1].tolist() == [1, 5]
    assert pruner.groups[1].members[0].index[0].tolist() == [0, 6]
    pruner.remove({"0": [1], "1": [0, 5]})
    assert (net[1].groups, net[1].in_channels, net[1].out_channels) == (2, 6, 8)
    assert net[1].weight.shape == (8, 3, 3, 3)


@pytest.mark.parametrize(("cap", "round_to", "allowed"), [(0.85, 1, 13), (0.5, 1, 8), (1.0, 1, 15), (0.85, 8, 8),
                                                         (0.4, 8, 0), (0.85, 16, 0)])  # fmt: skip
def test_how_much_may_go(cap: float, round_to: int, allowed: int) -> None:
    net = nn.Sequential(nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Conv2d(16, 2, 1)).eval()
    pruner = Pruner(net, (X,), cap=cap, round_to=round_to)
    assert pruner.allowed(pruner.groups[0]) == allowed


def test_more_than_allowed_or_an_unknown_group_is_refused_and_nothing_changes() -> None:
    net = _chain()
    before = copy.deepcopy(net.state_dict())
    pruner = Pruner(net, (X,), cap=0.5)
    for drop, words in [
        ({"0": [0, 1, 2, 3]}, "may take 3 of its 6"),
        ({"9": [0]}, "group's name"),
        ({"0": [6]}, "0 to 5"),
    ]:
        with pytest.raises(ConfigError, match=words):
            pruner.remove(drop)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_excluded_layers_stay() -> None:
    pruner = Pruner(_chain(), (X,), exclude=["0"])
    assert [g.name for g in pruner.groups] == ["3"]
    assert ("0", "it is excluded") in pruner.left_out
    with pytest.raises(ConfigError, match="must exist"):
        Pruner(_chain(), (X,), exclude=["nine"])


def test_nothing_to_prune_is_an_error_that_says_why() -> None:
    with pytest.raises(ModelError, match="it is the model's output"):
        Pruner(nn.Sequential(nn.Flatten(), nn.Linear(108, 4)), (X,))
    with pytest.raises(ModelError, match=r"LayerNorm's mean and variance run over it .*layer '1'"):
        Pruner(nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 2)), (X,))


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 1), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x).mean((2, 3))
        return self.head(x * 2 if x.sum() > 0 else x)


def test_a_computation_that_depends_on_values_names_operator_and_line() -> None:
    with pytest.raises(ModelError, match=r"_local_scalar_dense .* own forward, test_groups.py:\d+"):
        Pruner(Branching(), (X,))


def test_a_model_that_does_not_run_names_the_layer() -> None:
    with pytest.raises(ModelError, match="layer '1'"):
        Pruner(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Linear(5, 2)), (X,))


def test_in_place_activations_are_switched_off_and_training_mode_is_kept() -> None:
    net = _chain().train()
    assert net[2].inplace
    Pruner(net, (X,))
    assert not net[2].inplace
    assert net.training
    assert net[1].training
    assert without_inplace(net) is net


class Tied(nn.Module):
    """One weight under two names, and an embedding that its output layer reads."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.again, self.head = nn.Linear(6, 8), nn.Linear(8, 8, bias=False), nn.Linear(8, 2)
        self.other = self.again

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.other(torch.relu(self.again(torch.relu(self.inner(x))))))


def test_a_shared_layer_is_cut_once_and_stays_shared() -> None:
    net = Tied().eval()
    pruner = Pruner(net, (X,))
    pruner.remove({pruner.groups[0].name: [0, 7]})
    assert net.other is net.again
    assert net.again.weight.shape == (6, 6)


class Spoiled(nn.Module):
    """The number of channels changes the result: a constant share of it is left."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return self.head(x / float(int(x.shape[1])))


def test_a_group_that_the_trial_finds_wrong_is_left_out_with_the_reason() -> None:
    with pytest.raises(ModelError, match="'conv': pruning it does not equal masking it: outputs differ by"):
        Pruner(Spoiled(), (X,))


class Narrow(nn.Module):
    """Code that rounds to float32, and makes tensors of the default type, gates that saturate, and a final softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 1), nn.Linear(8, 8)
        self.three = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.one(x).float().mean((2, 3))
        x = self.two(100 * x) @ torch.ones(self.two.out_features, 8)
        return torch.softmax(100 * self.three(torch.sigmoid(x)), 1)


def test_rounding_and_saturation_neither_hide_nor_feign_an_error() -> None:
    net = Narrow().eval()
    pruner = Pruner(net, (X,))
    assert [g.name for g in pruner.groups] == ["one"]
    plan, zeros = (
        pruner._built.plan({pruner._units["one"].roots[0]}),
        pruner._built.zeros({pruner._units["one"].roots[0]}),
    )
    assert not check(net, (X,), plan, zeros).problem
    other = [dataclasses.replace(cut, drop=(1,)) if cut.dim == 1 else cut for cut in plan.cuts]
    assert check(net, (X,), dataclasses.replace(plan, cuts=tuple(other)), zeros).problem
