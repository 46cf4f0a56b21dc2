"""One layer at a time, against what linear algebra and masks say."""

import numpy as np
import pytest

from toolchain.compress import Context
from toolchain.compress.sensitivity.points import PRUNE, RANK, Site

torch = pytest.importorskip("torch", reason="compression works on torch modules")
from toolchain.compress.sensitivity import scan  # noqa: E402


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 6, 3, padding=1),
        torch.nn.BatchNorm2d(6),
        torch.nn.ReLU(),
        torch.nn.Conv2d(6, 6, 3, padding=1, groups=6),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(6, 3),
    ).eval()


INPUTS = {"x": np.random.default_rng(0).standard_normal((1, 1, 8, 8)).astype(np.float32)}
AROUND = Context(inputs=INPUTS)


@pytest.mark.parametrize(("share", "left"), [(0.25, 12), (0.5, 8), (0.999, 1), (0.01, 16)])
def test_how_much_is_left(share, left):
    assert Site(PRUNE, "a", 16).left(share) == left


def test_ranks_of_convolutions_and_linear_layers():
    assert scan.rank_sites(net()) == [Site(RANK, "0", 6), Site(RANK, "6", 3)], "grouped ones are left out"


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_a_lower_rank_loses_the_tail_of_the_spectrum(rank):
    """Eckart & Young: the squared error is the sum of the squared singular values that went."""
    layer = net()[0]
    before = layer.weight.detach().flatten(1).double()
    scan.lower_rank(layer, rank)
    after = layer.weight.detach().flatten(1).double()
    spectrum = torch.linalg.svdvals(before)
    assert float((before - after).square().sum()) == pytest.approx(float(spectrum[rank:].square().sum()), rel=1e-5)
    assert int(torch.linalg.matrix_rank(after, rtol=1e-5)) == rank


def test_all_ranks_change_nothing():
    layer = net()[0]
    before = layer.weight.detach().clone()
    scan.lower_rank(layer, 6)
    assert torch.allclose(layer.weight, before, atol=1e-6)


def test_the_channels_with_the_least_weight_go_first():
    """The two that are all zero: without them the model computes what it computed before."""
    model = net()
    for channel in (1, 4):
        for layer in (model[0], model[1], model[3]):
            layer.weight.data[channel] = 0
            layer.bias.data[channel] = 0
    x = torch.from_numpy(INPUTS["x"])
    with torch.no_grad():
        before = model(x)
    (site,) = scan.pruning_sites(model, AROUND)
    assert site == Site(PRUNE, "0", 6)
    pruned, left = scan.without_channels(model, site, 4, AROUND)
    with torch.no_grad():
        assert left == 4 and torch.allclose(pruned(x), before, atol=1e-6)
    assert pruned[0].out_channels == 4


def test_a_score_leaves_the_model_alone(monkeypatch):
    model, scored = net(), []
    monkeypatch.setattr(Context, "accuracy", lambda self, weak, **how: scored.append((weak, how)) or 0.5)
    before = [value.clone() for value in model.state_dict().values()]
    point = scan.score(model, Site(PRUNE, "0", 6), 0.5, AROUND, 32)
    assert (point.left, point.accuracy) == (3, 0.5)
    rank = scan.score(model, Site(RANK, "6", 3), 0.34, AROUND, 32)
    assert (rank.left, rank.layer) == (2, "6")
    assert all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values(), strict=True))
    assert [how for _, how in scored] == [{"samples": 32, "training": True}] * 2
    assert scored[0][0][0].out_channels == 3
