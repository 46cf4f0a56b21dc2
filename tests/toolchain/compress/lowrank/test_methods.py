"""The methods as a recipe calls them: goals, ranks, layers that stay, errors."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from profiles.errors import ConfigError, DataError, ModelError, UnsupportedError
from toolchain.compress.catalogue import find_method, names
from toolchain.compress.context import Context
from toolchain.compress.costs import model_bytes
from toolchain.compress.lowrank.scratch import fold
from toolchain.compress.passes import implementation
from toolchain.frontend.data import load_data
from toolchain.frontend.macs import count
from toolchain.frontend.specs import DataSpec, InputSpec, TrainSpec
from toolchain.project.recipe import LowRank

nn = torch.nn
SHAPE = (1, 3, 8, 8)
DENSE = ("svd", "separable", "tucker2", "cp")


def net():
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 24, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(24, 24, 3, padding=1, groups=24),
        nn.Conv2d(24, 24, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 3),
    )
    return made.eval()


@pytest.fixture
def context():
    return Context({"x": np.ones(SHAPE, np.float32)})


@pytest.fixture
def with_data(context, tmp_path):
    random = np.random.default_rng(0)
    labels = np.arange(160) % 3
    x = random.standard_normal((160, *SHAPE[1:])) + np.eye(3)[labels][:, :, None, None]
    np.savez(tmp_path / "x.npz", x=x.astype(np.float32), y=labels)
    data = load_data(DataSpec(f"npz:{tmp_path / 'x.npz'}", calibration=8), InputSpec(SHAPE, "NCHW", name="x"))
    return Context(context.inputs, data)


def run(options, context, model=None):
    return implementation(find_method("lowrank", options.method))(model or net(), options, context)


def outputs(model):
    with torch.no_grad():
        return model(torch.randn(4, *SHAPE[1:], generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("method", DENSE)
@pytest.mark.parametrize("kind", ["params", "macs"])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_shares_are_kept_and_used(method, kind, share, context):
    model = net()
    outcome = run(LowRank(method=method, **{kind: share}), context, model)
    which = ("params", "macs").index(kind)
    before, after = (count(m, context.tensors())[which] for m in (net(), outcome.model))
    assert after <= share * before
    assert after >= (share - 0.15) * before
    assert outputs(outcome.model).shape == (4, 3)


def test_ratios_are_of_the_layers_that_can_be_factorised(context):
    outcome = run(LowRank(method="svd", ratio=0.4), context)
    layers = 8 * 8 * 3 * 16 * 9 + 4 * 4 * 16 * 24 * 9 + 4 * 4 * 24 * 24 + 24 * 3
    saved = sum(before - after for before, after in outcome.facts["layer_macs"])
    assert 0.4 * layers <= saved <= 0.5 * layers


def test_absolute_numbers_and_bytes_are_kept(context):
    assert count(run(LowRank(method="tucker2", macs=60_000), context).model, context.tensors())[1] <= 60_000
    assert model_bytes(run(LowRank(method="svd", bytes="12 kB"), context).model) <= 12_000


def test_latency_goals_are_measured(context):
    """A clock that counts multiply-accumulates, 1 ns each: the answer is that of the same goal in MACs."""
    clock = Context(context.inputs, latency=lambda model, device: count(model, context.tensors())[1] * 1e-9)
    outcome = run(LowRank(method="svd", latency="60 us"), clock)
    assert 50_000 <= count(outcome.model, context.tensors())[1] <= 60_000


@pytest.mark.parametrize("kind", ["params", "macs", "bytes"])
def test_a_goal_out_of_reach_names_what_is_within(kind, context):
    asked = {"params": 0.01, "macs": 0.01, "bytes": 0.01}[kind]
    with pytest.raises(UnsupportedError) as caught:
        run(LowRank(method="svd", **{kind: asked}), context)
    least = float(caught.value.allowed.split()[2])
    amount = least + 1 if kind != "bytes" else f"{least + 1:.0f} B"
    assert run(LowRank(method="svd", **{kind: amount}), context).facts["ranks"][0] == [1]


def test_a_ratio_out_of_reach_names_the_highest(context):
    with pytest.raises(UnsupportedError, match=r"ratio of at most 0\.9"):
        run(LowRank(method="svd", ratio=0.99), context)


def test_one_rank_for_all_and_layers_that_would_grow_stay(context):
    """At rank 8: 16 x 27 weights would become 16 x 8 + 8 x 27, fewer; 3 x 24 would become 3 x 3 + 3 x 24, more."""
    outcome = run(LowRank(method="svd", rank=8), context)
    assert outcome.facts["layers"] == ["0", "3", "6"]
    assert outcome.facts["ranks"] == [[8], [8], [8]]
    assert isinstance(outcome.model[9], nn.Linear)
    assert outcome.facts["layer_macs"][0] == [64 * 16 * 27, 64 * 8 * (16 + 27)]


def test_energies_are_kept_with_the_lowest_rank_that_does(context):
    model = net()
    outcome = run(LowRank(method="svd", energy=0.8, exclude=("6", "9")), context, model)
    for name, (rank,), error in zip(*(outcome.facts[key] for key in ("layers", "ranks", "errors")), strict=True):
        squares = torch.linalg.svdvals(net()[int(name)].weight.flatten(1)).pow(2)
        shares = squares.detach().cumsum(0) / squares.detach().sum()
        assert shares[rank - 1] >= 0.8 > shares[rank - 2]
        assert error == pytest.approx(float((1 - shares[rank - 1]).sqrt()), abs=1e-5)


def test_vbmf_finds_the_ranks_of_the_weights(context):
    model = net()
    random = torch.Generator().manual_seed(0)
    u, v = torch.randn(24, 2, generator=random), torch.randn(16, 3, generator=random)
    weight = torch.einsum("or,is,rshw->oihw", u, v, torch.randn(2, 3, 3, 3, generator=random))
    model[3].weight.data = weight + 0.01 * torch.randn(weight.shape, generator=random)
    facts = run(LowRank(method="tucker2", rank="vbmf"), context, model).facts
    assert dict(zip(facts["layers"], facts["ranks"], strict=True))["3"] == [2, 3]


def test_grouped_and_excluded_layers_stay(context):
    outcome = run(LowRank(method="svd", rank=1, exclude=("0", "9")), context)
    assert outcome.facts["layers"] == ["3", "6"]
    assert any("'5' stays as it is: its 24 groups" in note for note in outcome.notes)


def test_layers_that_share_a_weight_stay(context):
    model = net()
    model.insert(7, nn.Conv2d(24, 24, 1))
    model[7].weight = model[6].weight
    outcome = run(LowRank(method="svd", rank=1), context, model)
    assert outcome.facts["layers"] == ["0", "3", "10"]


def test_a_layer_that_is_used_twice_is_replaced_once(context):
    model = net()
    model.insert(7, model[6])
    outcome = run(LowRank(method="svd", rank=2), context, model)
    assert outcome.model[6] is outcome.model[7]
    assert outcome.facts["layer_macs"][2] == [2 * 16 * 24 * 24, 2 * 16 * 2 * 48]


def test_a_transformer_layer_that_reads_its_weights_stays():
    model = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Linear(8, 8)).eval()
    outcome = run(LowRank(method="svd", rank=1), Context({"x": np.ones((1, 4, 8), np.float32)}), model)
    assert outcome.facts["layers"] == ["1"]


def test_a_model_that_is_one_layer():
    outcome = run(LowRank(method="svd", rank=2), Context({"x": np.ones((1, 9), np.float32)}), nn.Linear(9, 9))
    assert [layer.out_features for layer in outcome.model] == [2, 9]


def test_ranks_are_multiples_where_kernels_like_them(context):
    rounded = Context(context.inputs, round_to=8)
    facts = run(LowRank(method="tucker2", macs=0.6), rounded).facts
    assert all(rank % 8 == 0 or rank == 3 for ranks in facts["ranks"] for rank in ranks)


@pytest.mark.parametrize("given", [{"rank": 2, "macs": 0.5}, {"rank": 2, "energy": 0.5}, {"energy": 0.5, "ratio": 0.5}])
def test_two_ways_to_set_the_ranks_are_refused(given, context):
    with pytest.raises(ConfigError, match="set by one option") as caught:
        run(LowRank(method="svd", **given), context)
    assert caught.value.seen == " and ".join(given)


def test_a_model_without_such_layers_is_refused(context):
    with pytest.raises(ModelError, match="no layer") as caught:
        run(LowRank(method="svd"), context, nn.Sequential(nn.Conv2d(3, 3, 3, groups=3)))
    assert "3 groups" in caught.value.seen


@pytest.mark.parametrize("method", [name for name in names("lowrank") if name not in ("bn_lowrank", "sparse_lowrank")])
def test_samples_and_training(method, with_data):
    """With samples the methods run through to the end, in eval mode, and the same seed gives the same weights."""
    options = LowRank(method=method, macs=0.7, samples=64, epochs=1, lr=0.01)
    first, second = (run(options, with_data).model for _ in range(2))
    assert not first.training
    torch.testing.assert_close(outputs(first), outputs(second), rtol=0, atol=0)


@pytest.mark.parametrize("method", ["tucker2", "separable", "svd_data"])
def test_samples_bring_the_output_closer(method, with_data):
    """The largest output error against the whole model, on other samples: mended with samples and without."""
    whole = outputs(net())
    alone = Context(with_data.inputs)
    plain = run(LowRank(method=method.removesuffix("_data"), macs=0.4), alone)
    mended = run(LowRank(method=method, macs=0.4), with_data)
    assert (outputs(mended.model) - whole).norm() < (outputs(plain.model) - whole).norm()
    assert any("fitted to 512" in note for note in mended.notes)


def test_svd_data_needs_samples(context):
    with pytest.raises(DataError, match="svd_data"):
        run(LowRank(method="svd_data"), context)


def test_bn_lowrank_trains_and_comes_out_plain(with_data):
    with_data = dataclasses.replace(with_data, training=TrainSpec(batch=16))
    outcome = run(LowRank(method="bn_lowrank", macs=0.6, epochs=5, lr=0.05), with_data)
    assert [type(layer) for layer in outcome.model[3]] == [nn.Conv2d, nn.Conv2d]
    assert count(outcome.model, with_data.tensors())[1] <= 0.6 * count(net(), with_data.tensors())[1]
    assert with_data.accuracy(outcome.model) > 0.6
    with pytest.raises(ConfigError, match="random weights"):
        run(LowRank(method="bn_lowrank"), with_data)


def test_normalisation_between_factors_folds_exactly():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Sequential(
            nn.Conv2d(3, 4, (3, 1), padding=(1, 0), bias=False),
            nn.BatchNorm2d(4),
            nn.Conv2d(4, 5, (1, 3), padding=(0, 1)),
        )
    ).double()
    model(torch.randn(8, 3, 6, 6, dtype=torch.float64) * 3 + 1)
    nn.init.normal_(model[0][1].bias)
    before = copy.deepcopy(model.eval())
    fold(model, ["0"])
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    assert len(model[0]) == 2
    torch.testing.assert_close(model(x), before(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("method", ["svd", "separable", "tucker2", "cp", "svd_data"])
def test_neighbouring_factors_weigh_the_same(method, with_data):
    """Else no learning rate suits both: with samples, their covariances make one factor large and the other small."""
    outcome = run(LowRank(method=method, macs=0.5, samples=64), with_data)
    for name in outcome.facts["layers"]:
        chain = outcome.model.get_submodule(name)
        sizes = [float(stage.weight.detach().norm()) for stage in chain]
        assert max(sizes) < 1.25 * min(sizes), (name, sizes)


@pytest.mark.parametrize("epochs", [0, 1])
def test_zeros_of_sparse_lowrank_survive_the_training(epochs, with_data):
    with_data = dataclasses.replace(with_data, training=TrainSpec(batch=16, precision="fp32"))
    outcome = run(LowRank(method="sparse_lowrank", bytes=0.6, epochs=epochs, lr=0.01), with_data)
    sparse = outcome.model[3].sparse.weight
    assert float((sparse == 0).float().mean()) > 0.7
    assert model_bytes(outcome.model) <= 0.6 * model_bytes(net())


def test_sparse_lowrank_stores_less_and_computes_more(context):
    outcome = run(LowRank(method="sparse_lowrank", ratio=0.5), context)
    assert model_bytes(outcome.model) < 0.65 * model_bytes(net())
    assert count(outcome.model, context.tensors())[1] > count(net(), context.tensors())[1]
    with pytest.raises(UnsupportedError):
        run(LowRank(method="sparse_lowrank", macs=0.9), context)


def test_sparse_lowrank_gives_the_sum_of_both(context):
    whole = outputs(net())
    made = run(LowRank(method="sparse_lowrank", bytes=0.6), context)
    rough = run(LowRank(method="sparse_lowrank", bytes=0.35), context)
    assert (outputs(made.model) - whole).norm() < (outputs(rough.model) - whole).norm()
