"""What samples tell: the metric of errors, last factors by least squares, statistics of batch normalisation."""

import copy

import numpy as np
import pytest
import torch

from toolchain.compress.context import Context
from toolchain.compress.lowrank.correct import Pair, _solve, drift, refit, renormalise
from toolchain.compress.lowrank.metric import measure
from toolchain.compress.lowrank.patches import Patches, rows
from toolchain.compress.lowrank.sites import find
from toolchain.compress.lowrank.tucker import Tucker2
from toolchain.frontend.data import load_data
from toolchain.frontend.specs import DataSpec, InputSpec
from toolchain.frontend.zoo.layers import SameConv2d

nn = torch.nn


@pytest.fixture
def around(tmp_path):
    """A context with samples of the given shape."""

    def made(shape, count=256):
        random = np.random.default_rng(0)
        mixed = random.standard_normal((count, int(np.prod(shape)))) @ random.standard_normal(
            (int(np.prod(shape)),) * 2
        )
        values = (mixed / np.sqrt(np.prod(shape))).reshape(count, *shape).astype(np.float32)
        np.savez(tmp_path / "x.npz", x=values, y=np.arange(count) % 3)
        layout = "NCHW" if len(shape) == 3 else "NC"
        data = load_data(DataSpec(f"npz:{tmp_path / 'x.npz'}", calibration=8), InputSpec((1, *shape), layout, name="x"))
        return Context({"x": values[:1]}, data)

    return made


def samples_of(context):
    return torch.from_numpy(context.data.train.real(context.data.train.raw(np.arange(len(context.data.train)))))


def test_patches_are_what_a_weight_is_multiplied_with():
    torch.manual_seed(0)
    for layer in (
        nn.Conv2d(3, 4, (3, 2), (2, 1), (1, 2), (1, 2), padding_mode="circular"),
        SameConv2d(3, 4, (3, 3), 2),
        nn.Conv2d(3, 4, 3, padding="same"),
    ):
        x = torch.randn(2, 3, 7, 8)
        product = Patches(layer)(x) @ layer.weight.flatten(1).T + layer.bias
        torch.testing.assert_close(product, rows(layer(x)))


def test_the_metric_estimates_how_much_the_loss_rises(around):
    """Softmax regression from zero weights: there G x C is the exact second derivative, and the rise is known."""
    context = around((5,), 3000)
    model = nn.Linear(5, 3)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    sites, _ = find(model, context.tensors())
    x = samples_of(context)
    metric = measure(model, sites, context, "the test", len(x))(sites[0])
    change = 0.05 * torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    moved = (x - x.mean(0)) @ change.T
    rise = torch.log_softmax(torch.zeros(1, 3), 1).mean() - torch.log_softmax(moved, 1).mean(1).mean()
    said = ((metric.left @ change.double().numpy() @ metric.right) ** 2).sum()
    assert said == pytest.approx(float(rise), rel=0.1)


def test_the_metric_knows_the_covariance_of_the_inputs(around):
    context = around((2, 6, 6))
    model = nn.Sequential(nn.Conv2d(2, 3, 3, 2, 1), nn.Flatten(), nn.Linear(27, 3))
    sites, _ = find(model, context.tensors())
    metric = measure(model, sites, context, "the test", 256)(sites[0])
    x = samples_of(context)
    unfolded = nn.functional.unfold(x, 3, padding=1, stride=2).transpose(1, 2).flatten(0, 1)
    wanted = torch.cov(unfolded.T, correction=0).double()
    found = metric.right @ metric.right
    ridge = 0.01 * np.trace(wanted) / 18
    # 256 samples are drawn out of 197 (the rest is for testing): some count twice
    np.testing.assert_allclose(found, wanted + ridge * np.eye(18), atol=0.15 * wanted.diagonal().max())
    np.testing.assert_allclose(metric.right @ metric.right_inverse, np.eye(18), atol=1e-8)
    blocks = (found - 0.01 / 1.01 * np.trace(found) / 18 * np.eye(18)).reshape(2, 9, 2, 9)
    channels = np.einsum("iaja->ij", blocks) / 9
    level = 0.01 * np.trace(channels) / 2
    np.testing.assert_allclose(metric.channels @ metric.channels, channels + level * np.eye(2), atol=1e-8)


def test_the_mean_of_the_inputs_is_no_error(around):
    """A bias takes it away: a shift of 10 leaves the covariance as it is."""
    context = around((2,))
    found = []
    for shift in (0.0, 10.0):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3))
        model[0].bias.data.fill_(shift)
        sites, _ = find(model, context.tensors())
        found.append(measure(model, sites, context, "the test", 256)(sites[1]).right)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-3, atol=1e-4)


def test_few_positions_stand_for_all(around, monkeypatch):
    """4 of 36 positions count nine times as much: gradients are summed over positions."""
    context = around((2, 6, 6))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.Flatten(), nn.Linear(108, 3))
    sites, _ = find(model, context.tensors())
    sizes = []
    for positions in (36, 4):
        monkeypatch.setattr("toolchain.compress.lowrank.metric.POSITIONS", positions)
        left = measure(model, sites, context, "the test", 256)(sites[0]).left
        sizes.append(float((left**2).sum()))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.2)


def test_measuring_leaves_the_model_as_it_was(around):
    context = around((2, 6, 6))
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 3)).eval()
    before = copy.deepcopy(model.state_dict())
    measure(model, find(model, context.tensors())[0], context, "the test", 64)
    torch.testing.assert_close(model.state_dict(), before)
    assert all(p.grad is None for p in model.parameters())


def test_last_factors_are_the_least_squares_of_what_they_see(around):
    context = around((4, 6, 6))
    torch.manual_seed(0)
    whole = nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Conv2d(6, 5, 3)).eval()
    model = copy.deepcopy(whole)
    scheme = Tucker2()
    sites, _ = find(whole, context.tensors())
    for site in sites:
        model[int(site.name)] = scheme.build(site, scheme.uniform(site, 2)).layer
    pairs = [(model[int(site.name)], site.layer) for site in sites]
    refit(Pair(model, whole), pairs, context, "the test", 10_000)
    x = samples_of(context)
    with torch.no_grad():
        for depth in (0, 2):
            hidden = rows(model[depth][:2](model[:depth](x))).flatten(0, 1).double()
            wanted = rows(whole[: depth + 1](x)).flatten(0, 1).double()
            column = torch.ones(len(hidden), 1, dtype=torch.float64)
            best = torch.linalg.lstsq(torch.cat([hidden, column], 1), wanted).solution
            error = (wanted - torch.cat([hidden, column], 1) @ best).pow(2).sum()
            said = (wanted - rows(model[: depth + 1](x)).flatten(0, 1)).pow(2).sum()
            assert error * (1 - 1e-6) <= said <= error * 1.001


def test_where_the_samples_do_not_tell_the_factor_stays():
    """Inputs (z, 0): the first column is fitted to y = 3 z + 1, the second keeps its 7."""
    layer = nn.Linear(2, 1)
    layer.weight.data = torch.tensor([[1.0, 7.0]])
    z = torch.linspace(-1, 1, 9, dtype=torch.float64)
    seen = torch.stack([z, torch.zeros(9), torch.ones(9)], 1)
    with torch.no_grad():
        _solve(layer, seen.T @ seen / 9, seen.T @ (3 * z + 1)[:, None] / 9, free=True)
    assert layer.weight[0].tolist() == pytest.approx([3, 7], rel=2e-3)
    assert layer.bias.item() == pytest.approx(1)


def test_drift_is_the_divergence_of_what_is_predicted(around):
    """Of logits (0, 0) from (a, 0): log cosh(a / 2), by hand."""
    context = around((2,))
    whole, model = nn.Linear(2, 2), nn.Linear(2, 2)
    for one, value in ((whole, 0.0), (model, 3.0)):
        nn.init.zeros_(one.weight)
        one.bias.data = torch.tensor([value, 0.0])
    assert drift(Pair(model, whole), context, "the test", 64) == pytest.approx(np.log(np.cosh(1.5)))
    other = Context(context.inputs, context.data, task="reconstruction")
    whole.bias.data = torch.tensor([1.0, 2.0])
    assert drift(Pair(model, whole), other, "the test", 64) == pytest.approx((4 + 4) / 5)


def test_statistics_are_those_of_the_samples(around):
    context = around((3, 4, 4))
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)).eval()
    count = len(samples_of(context))
    assert renormalise(model, context, "the test", count) == 1
    with torch.no_grad():
        batch = next(context.batches("the test", 1, 128)).x
        found = model[0](torch.cat([b.x for b in context.batches("the test", -(-count // 128), 128)]))
    assert len(batch) == 128
    torch.testing.assert_close(model[1].running_mean, found.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model[1].running_var, found.var((0, 2, 3)), rtol=0.02, atol=0)
    assert model[1].momentum == 0.1
    assert not model[1].training
