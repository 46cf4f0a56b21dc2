"""Pruning from the options to the model: scopes, goals, rounds, limits, notes."""

import copy

import pytest

torch = pytest.importorskip("torch", reason="pruning works on torch modules")

from profiles.errors import ConfigError, UnsupportedError  # noqa: E402
from toolchain.compress import Prune, compress  # noqa: E402
from toolchain.compress.context import Context  # noqa: E402
from toolchain.compress.steps import runner  # noqa: E402
from toolchain.compress.structured.search import Copies, pruned_copy  # noqa: E402
from toolchain.frontend.zoo import ZOO  # noqa: E402


def channels(result):
    return {name: (before, after) for name, before, after in result.rows[-1].facts["channels"]}


def test_half_of_every_group_of_a_residual_net_goes_without_data():
    model = ZOO["resnet8"].build().eval()
    x = torch.randn(1, 3, 32, 32)
    result = compress(model, [Prune(method="l1", ratio=0.5, scope="layer")], data=None, example_input=x)
    assert [after / before for before, after in channels(result).values()] == [0.5] * 6
    assert result.model(x).shape == (1, 10) and result.rows[1].macs < 0.3 * result.rows[0].macs
    widths = [m.out_channels for m in result.model.modules() if isinstance(m, torch.nn.Conv2d)]
    assert widths == [8, 8, 8, 16, 16, 16, 32, 32, 32]
    assert any("'5'" in note for note in result.rows[1].notes)  # the classifier stays, and says why


@pytest.mark.parametrize("kind", ["macs", "params", "bytes"])
def test_goals_are_reached_and_not_overshot_by_much(net, around, kind):
    result = compress(net(), [Prune(method="l2", **{kind: 0.5})], context=around(data=None))
    before, after = (getattr(row, kind) for row in result.rows)
    assert 0.4 * before < after <= 0.5 * before


def test_a_goal_that_cannot_be_reached_names_the_minimum(net, around):
    with pytest.raises(UnsupportedError) as caught:
        compress(net(), [Prune(method="l2", macs=0.01, cap=0.5)], context=around(data=None))
    strongest = compress(net(), [Prune(method="l2", ratio=0.5, cap=0.5, scope="layer")], context=around(data=None))
    assert f"macs = {strongest.rows[1].macs} or more" in caught.value.allowed


def test_a_latency_goal_asks_the_named_device(net, around):
    asked = []

    def latency(model, device):
        asked.append(device)
        return model[0].out_channels * 1e-3

    context = around(data=None, latency=latency)
    options = Prune(method="l1", latency="3 ms", scope="layer", device="board")
    assert runner(options)(net(), options, context).model[0].out_channels == 3 and set(asked) == {"board"}


def test_a_goal_that_is_met_already_removes_nothing(net, around):
    result = compress(net(), [Prune(method="l1", params=10**9)], context=around(data=None))
    assert result.rows[1].params == result.rows[0].params and result.rows[1].facts["kept"] == 1.0


def test_limits_hold(net, around):
    step = Prune(method="l1", ratio=0.9, cap=0.5, round_to=4, exclude=("3",))
    result = compress(net(), [step], context=around(data=None))
    assert channels(result) == {"0": (6, 4), "7": (10, 8)}
    assert any("'3' (it is excluded)" in note for note in result.rows[1].notes)
    result = compress(net(), [Prune(method="l1", ratio=0.5, scope="layer")], context=around(data=None, round_to=8))
    assert channels(result) == {"0": (6, 6), "3": (8, 8), "7": (10, 8)}
    assert any("'0' (its limits leave no room)" in note for note in result.rows[1].notes)


def test_patterns_exclude_layers_and_must_fit_one(net, around):
    model = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(72, 8), torch.nn.Linear(8, 8), torch.nn.Linear(8, 3)
    )
    model.add_module("head", torch.nn.Linear(3, 3))
    result = compress(model, [Prune(method="l1", ratio=0.5, exclude=("[23]", "hea*"))], context=around(data=None))
    assert list(channels(result)) == ["1"]
    with pytest.raises(ConfigError, match="a layer that the model does not have"):
        compress(net(), [Prune(method="l1", exclude=("conv*",))], context=around(data=None))


def test_nothing_to_remove_is_an_error(net, around):
    with pytest.raises(UnsupportedError, match="'l1'"):
        compress(net(), [Prune(method="l1", ratio=0.5, round_to=64)], context=around(data=None))


def test_global_pruning_takes_more_where_scores_are_low(net, around):
    model = net()
    with torch.no_grad():
        model[0].weight[1:] *= torch.tensor([0.01, 0.01, 0.01, 1, 1]).reshape(-1, 1, 1, 1)
    counts = channels(compress(model, [Prune(method="l2", ratio=0.2)], context=around(data=None)))
    assert counts["0"][1] <= 3 and sum(after for _, after in counts.values()) == 24 - 5


def test_rounds_end_where_one_round_does_and_each_recovers(net, around, monkeypatch):
    fitted = []

    def fit(self, model, purpose, *, epochs, **_):
        fitted.append((purpose, epochs, model[3].out_channels))

    monkeypatch.setattr(Context, "fit", fit)
    step = Prune(method="l1", ratio=0.5, scope="layer", rounds=3, epochs=7)
    result = compress(net(), [step], context=around())
    assert channels(result) == {"0": (6, 3), "3": (8, 4), "7": (10, 5)}
    assert [(epochs, width) for _, epochs, width in fitted] == [(2, 7), (2, 5), (3, 4)]
    assert len({purpose for purpose, _, _ in fitted}) == 3


def test_rounds_share_a_goal_in_equal_factors(net, around, monkeypatch):
    monkeypatch.setattr(Context, "fit", lambda *_, **__: None)
    result = compress(net(), [Prune(method="l1", macs=0.5, rounds=2)], context=around())
    assert 0.4 < result.rows[1].macs / result.rows[0].macs <= 0.5


def test_recovery_trains(net, around):
    result = compress(net(), [Prune(method="l1", ratio=0.5, scope="layer", epochs=6, lr=0.1)], context=around())
    plain = compress(net(), [Prune(method="l1", ratio=0.5, scope="layer")], context=around())
    assert result.rows[1].accuracy > 0.9 > plain.rows[1].accuracy


def test_copies_to_look_at_equal_checked_ones(net, around):
    model, context = net(), around(data=None)
    options, drop, x = Prune(method="l1"), {"0": [1, 2], "7": [0, 9]}, torch.randn(3, 2, 6, 6)
    checked = pruned_copy(model, drop, options, context)
    before = copy.deepcopy(model.state_dict())
    assert torch.equal(Copies(model, options, context).without(drop)(x), checked(x))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
