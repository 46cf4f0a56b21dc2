"""NetAdapt: fewest filters for a budget, and the layer that costs the least loss."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="pruning works on torch modules")

from profiles.errors import ConfigError, DataError, UnsupportedError  # noqa: E402
from toolchain.compress import Prune, compress  # noqa: E402
from toolchain.compress.steps import runner  # noqa: E402
from toolchain.compress.structured import netadapt as module  # noqa: E402
from toolchain.compress.structured.netadapt import fewest, parts  # noqa: E402
from toolchain.compress.structured.select import Room  # noqa: E402


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 20), st.integers(1, 4), st.floats(0, 110), st.data())
def test_the_fewest_filters_that_meet_the_budget(count, multiple, budget, data):
    room = Room(count, count, data.draw(st.integers(0, count - 1)), multiple)
    order = data.draw(st.permutations(range(count)))
    falls = sorted((data.draw(st.integers(0, 100)) for _ in range(count + 1)), reverse=True)
    drop, after = fewest("g", order, room, budget, lambda drop: float(falls[len(drop["g"])]))
    counts = [k for k in range(1, room.most + 1) if room.rounded(k) == k]
    enough = [k for k in counts if falls[k] <= budget]
    wanted = enough[0] if enough else max(counts, default=0)
    assert drop == sorted(order[:wanted]) and after == (falls[wanted] if counts else math.inf)


def latency(model, device):
    """The first convolution costs nothing, the second 1 ms a filter, the hidden layer 0.1 ms a unit."""
    assert device == "board"
    return model[3].out_channels * 1e-3 + model[7].out_features * 1e-4


def test_only_layers_that_the_device_feels_are_pruned(net, around):
    step = Prune(method="netadapt", latency=0.6, device="board", rounds=3, samples=32)
    result = runner(step)(net(), step, around(latency=latency))
    start = 8e-3 + 10e-4
    assert latency(result.model, "board") <= 0.6 * start
    assert result.model[0].out_channels == 6
    facts = result.facts
    assert facts["goal"] == "latency" and facts["unit"] == "s"
    for number, (_, _, cost, loss) in enumerate(facts["iterations"][:3], 1):
        assert cost <= start * (1 - 0.4 * number / 3) + 1e-9 and np.isfinite(loss)
    assert {name: after for name, _, after in facts["channels"]} == {
        "0": 6, "3": result.model[3].out_channels, "7": result.model[7].out_features
    }  # fmt: skip


def test_the_proposal_with_the_least_loss_wins(net, around, monkeypatch):
    losses = {6: 3.0, 8: 1.0, 10: 2.0}

    def tried(model, options, context):
        untouched = {model[0].out_channels, model[3].out_channels, model[7].out_features} & set(losses)
        (touched,) = set(losses) - untouched
        return losses[touched]

    monkeypatch.setattr(module, "tried", tried)
    result = compress(net(), [Prune(method="netadapt", macs=0.97, rounds=2, samples=16)], context=around())
    assert {name for name, *_ in result.rows[1].facts["iterations"]} == {"3"}


def test_without_a_device_macs_count_and_a_note_says_so(net, around):
    result = compress(net(), [Prune(method="netadapt", ratio=0.3, rounds=2, samples=32)], context=around())
    assert 0.5 * result.rows[0].macs < result.rows[1].macs <= 0.7 * result.rows[0].macs
    assert any("MACs took the place of latency" in note for note in result.rows[1].notes)


def test_what_cannot_be_done_says_so(net, around):
    with pytest.raises(ConfigError, match="device to measure"):
        compress(net(), [Prune(method="netadapt", latency=0.5)], context=around())
    with pytest.raises(DataError, match="netadapt"):
        compress(net(), [Prune(method="netadapt", ratio=0.5)], context=around(data=None))
    with pytest.raises(UnsupportedError, match="at most") as caught:
        compress(net(), [Prune(method="netadapt", macs=0.3, cap=0.2, rounds=2, samples=16)], context=around())
    assert "or more" in caught.value.allowed


def test_where_one_channel_is_left_everywhere_the_minimum_is_named(around):
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(2, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(48, 3)
    model = torch.nn.Sequential(*layers).eval()
    step = Prune(method="netadapt", params=0.1, cap=0.9, rounds=2, samples=16)
    with pytest.raises(UnsupportedError, match="at most") as caught:
        compress(model, [step], context=around())
    least = (2 * 9 + 1) + (16 * 3 + 3)
    assert caught.value.allowed == f"params of {least} or more"


def test_proposals_train_on_other_samples_than_they_are_judged_by(around):
    context = around()
    teaching, judging = (each.data.train for each in parts(context, 32))
    assert len(teaching) == len(judging) == 32 and not set(teaching.rows) & set(judging.rows)
    rows = list(context.data.train.rows)
    assert (teaching.labels == context.data.train.labels[[rows.index(row) for row in teaching.rows]]).all()
    everything, most = (each.data.train for each in parts(context, len(rows)))
    assert len(everything) == len(most) == len(rows)
