"""ThiNet's greedy choice and its least squares, and what layers read."""

import copy
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="contributions are torch tensors")

from toolchain.compress import Prune, compress  # noqa: E402
from toolchain.compress.structured.reading import windows  # noqa: E402
from toolchain.compress.structured.thinet import ThiNet, contributions, greedy, rescaling  # noqa: E402


def cost(added, removed):
    return float(added[:, list(removed)].sum(1).square().sum())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_every_greedy_step_is_the_best_single_step(seed, channels):
    added = torch.randn(12, channels, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    order = torch.argsort(greedy(added.T @ added)).tolist()
    for step in range(channels):
        tries = {j: cost(added, [*order[:step], j]) for j in range(channels) if j not in order[:step]}
        assert tries[order[step]] == pytest.approx(min(tries.values()))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_one_step_is_the_best_of_all_subsets_and_two_are_where_channels_do_not_mix(seed):
    generator = torch.Generator().manual_seed(seed)
    added = torch.randn(12, 5, generator=generator, dtype=torch.float64)
    one = min(range(5), key=lambda j: cost(added, [j]))
    assert int(greedy(added.T @ added).argmin()) == one
    apart = torch.linalg.qr(added)[0] * torch.rand(5, generator=generator, dtype=torch.float64)
    best = min(itertools.combinations(range(5), 2), key=lambda pair: cost(apart, pair))
    assert set(greedy(apart.T @ apart).argsort()[:2].tolist()) == set(best)


def test_channels_that_cancel_out_cost_nothing_together():
    added = torch.tensor([[1.0, -1.0, 3.0], [2.0, -2.0, 1.0]], dtype=torch.float64)
    errors = greedy(added.T @ added)
    assert errors.argsort().tolist() == [0, 1, 2] and float(errors[1]) == pytest.approx(5.0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sets(st.integers(0, 4), min_size=1, max_size=4))
def test_the_rescaling_is_least_squares(seed, drop):
    added = torch.randn(9, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    factors, kept = rescaling(added, sorted(drop)), [j for j in range(5) if j not in drop]
    wanted = torch.linalg.pinv(added[:, kept]) @ added.sum(1)
    assert torch.allclose(factors[kept], wanted) and not factors[sorted(drop)].any()


LAYERS = [
    (torch.nn.Conv2d(3, 4, 3, stride=2, padding=1), (2, 3, 7, 6)),
    (torch.nn.Conv2d(3, 4, (3, 2), dilation=2, padding="same"), (2, 3, 7, 6)),
    (torch.nn.Conv1d(3, 4, 3, stride=2, padding=2, padding_mode="reflect"), (2, 3, 8)),
    (torch.nn.Linear(3, 4), (2, 5, 3)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_every_window_makes_one_of_the_layers_outputs(layer, shape):
    layer, x = copy.deepcopy(layer).double(), torch.randn(shape, dtype=torch.float64)
    seen = windows(layer, x, 60, torch.Generator().manual_seed(0))
    made = seen.flatten(1) @ layer.weight.flatten(1).T + layer.bias
    outputs = layer(x)
    outputs = (outputs.movedim(1, -1) if outputs.ndim == 4 or layer.weight.ndim == 3 else outputs).reshape(-1, 4)
    assert (made[:, None] - outputs[None]).abs().amax(2).min(1).values.max() < 1e-9
    assert len({tuple(row) for row in made.round(decimals=3).tolist()}) > 5


def test_contributions_add_up_to_what_the_layer_makes(net, around, groups_of):
    model, context = net(), around()
    groups = groups_of(model, context)
    options = Prune(method="thinet", samples=32)
    added = contributions(model, list(groups.values()), options, context)
    assert added["0", "3"].shape == (2048, 6) and added["3", "7"].shape == (2048, 8)
    values = added["0", "3"].sum(1)
    x = torch.cat([batch.x for batch in context.batches("a test", 1, 32)])
    possible = (model[3](model[:3](x)) - model[3].bias.reshape(1, -1, 1, 1)).flatten().sort().values.double()
    near = torch.searchsorted(possible, values).clamp(1, len(possible) - 1)
    distance = torch.minimum((possible[near] - values).abs(), (possible[near - 1] - values).abs())
    assert distance.max() < 1e-4


def test_a_channel_that_repeats_another_is_made_up_for(net, around, groups_of):
    """Two equal channels: one goes, the other's readers double, and the model computes what it did."""
    model, context = net(), around()
    with torch.no_grad():
        for part in (model[0].weight, model[0].bias, model[1].weight, model[1].bias):
            part[1] = part[4]
        model[1].running_mean[1], model[1].running_var[1] = model[1].running_mean[4], model[1].running_var[4]
        model[3].weight[:, 1] = model[3].weight[:, 4]
    criterion, options = ThiNet(), Prune(method="thinet", samples=64)
    groups = list(groups_of(model, context).values())
    criterion.score(model, groups, options, context)
    x = torch.randn(4, 2, 6, 6)
    before = model(x)
    criterion.adjust(model, groups, {"0": [4]}, options, context)
    assert not model[3].weight[:, 4].any() and torch.allclose(model(x), before, atol=1e-4)


def test_thinet_loses_less_than_chance(net, around):
    context, x = around(), torch.cat([batch.x for batch in around().batches("a test", 1, 96)])
    errors = {}
    for method in ("thinet", "random"):
        model = net()
        made = compress(model, [Prune(method=method, ratio=0.5, scope="layer", samples=96)], context=context).model
        errors[method] = float((made(x) - model(x)).detach().square().mean())
    assert errors["thinet"] < 0.7 * errors["random"]


def test_scores_are_shares_of_what_the_reader_makes(net, around, groups_of):
    """So that layers compare: ten times the weights that read a group change nothing, and all channels cost all."""
    model, step = net(), Prune(method="thinet", samples=40)
    scores = []
    for factor in (1, 10):
        with torch.no_grad():
            model[3].weight.mul_(factor)
        scores.append(ThiNet().score(model, list(groups_of(model, around()).values()), step, around())["0"])
    assert torch.allclose(*scores, rtol=1e-4) and float(scores[0].max()) >= 1 - 1e-6
