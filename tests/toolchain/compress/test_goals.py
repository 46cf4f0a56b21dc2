"""Goals and the search for the strength that reaches one; what a model costs to store."""

import numpy as np
import pytest

from profiles.errors import ConfigError, UnsupportedError
from toolchain.compress import Context, Prune
from toolchain.compress.costs import model_bytes, zero_share
from toolchain.compress.goals import Goal, cost, limit, reach, told

torch = pytest.importorskip("torch", reason="compression works on torch modules")
AROUND = Context(inputs={"x": np.ones((1, 4), np.float32)})


def net(width):
    return torch.nn.Sequential(torch.nn.Linear(4, width, bias=False), torch.nn.Linear(width, 2, bias=False)).eval()


def make(strength):
    return net(max(2, round(20 * (1 - strength))))


def width(model):
    return model[0].out_features


@pytest.mark.parametrize(
    ("goal", "left"),
    [
        (Goal("macs", 0.5), 10),
        (Goal("params", 0.31), 6),
        (Goal("bytes", 4 * 6 * 7.0, relative=False), 7),
        (Goal("macs", 6 * 19.9, relative=False), 19),
        (Goal("macs", 1.0), 20),
        (Goal("macs", 0.1), 2),
    ],
)
def test_the_least_compressed_model_that_reaches_the_goal(goal, left):
    """The widest net of 6 multiply-accumulates per unit that is within the limit."""
    assert width(reach(make, net(20), goal, AROUND)) == left


def test_what_cannot_be_reached_names_what_can():
    with pytest.raises(UnsupportedError) as caught:
        reach(make, net(20), Goal("macs", 0.05), AROUND)
    assert caught.value.wanted == "wanted a model with at most 6 MACs"
    assert caught.value.seen == "12 MACs with the strongest setting that the structure allows"
    assert caught.value.allowed == "macs = 12 or more, which is a share of 0.1" and caught.value.next_step.startswith(
        "allow more"
    )
    assert width(reach(make, net(20), Goal("macs", 12, relative=False), AROUND)) == 2, "what it names can be reached"


@pytest.mark.parametrize(
    ("kind", "amount", "least", "most"),
    [
        ("macs", 40_960_001.0, "40960001 MACs", "40960001 MACs"),
        ("params", 1234.5, "1235 parameters", "1234 parameters"),
        ("bytes", 0.1 * 30, "3 B", "3 B"),
        ("latency", 9.791e-6, "9.79 µs", "9.79 µs"),
    ],
)
def test_amounts_that_were_counted_are_whole(kind, amount, least, most):
    """All digits, because they are asked for next; a sum of fractions that misses a whole number is one."""
    assert (told(kind, amount, up=True), told(kind, amount)) == (least, most)


def test_a_weaker_method_reaches_less():
    with pytest.raises(UnsupportedError, match="at most 24 parameters") as caught:
        reach(make, net(20), Goal("params", 0.2), AROUND, strongest=0.5)
    assert caught.value.allowed == "params = 60 or more, which is a share of 0.5"


def test_latency_is_asked_of_the_named_device():
    asked = []

    def seconds(model, device):
        asked.append(device)
        return width(model) * 1e-3

    around = Context(inputs=AROUND.inputs, latency=seconds)
    found = reach(make, net(20), Goal("latency", 0.0101, relative=False, device="board"), around)
    assert width(found) == 10 and set(asked) == {"board"}
    with pytest.raises(ConfigError, match="needs a device to measure on"):
        cost(net(20), Goal("latency", 0.5), AROUND)


@pytest.mark.parametrize(
    ("options", "goal"),
    [
        ({"ratio": 0.3}, Goal("ratio", 0.3)),
        ({"macs": 1}, Goal("macs", 1.0, relative=True)),
        ({"macs": 2_000_000}, Goal("macs", 2e6, relative=False)),
        ({"bytes": "100 kB"}, Goal("bytes", 1e5, relative=False)),
        ({"bytes": 0.25}, Goal("bytes", 0.25)),
        ({"latency": "5 ms", "device": "board"}, Goal("latency", 5e-3, relative=False, device="board")),
        ({"latency": 0.6}, Goal("latency", 0.6)),
        ({}, Goal("ratio", 0.5)),
    ],
)
def test_a_number_up_to_one_is_a_share(options, goal):
    assert Prune(method="l1", **options).goal() == goal


def test_limits_are_of_what_the_step_begins_with():
    assert limit(Goal("macs", 0.25), 80.0) == 20.0 and limit(Goal("macs", 7.0, relative=False), 80.0) == 7.0


def test_zeros_are_packed_where_that_is_less():
    """One bit for each of 80 values, and 4 bytes for each that is not zero; the other tensor has no zeros."""
    model = net(20)
    assert model_bytes(model) == 4 * 120
    model[0].weight.data[:10] = 0
    assert model_bytes(model) == 80 // 8 + 4 * 40 + 4 * 40
    assert model_bytes(model, packed=False) == 4 * 120
    assert zero_share(model) == pytest.approx(40 / 120)
    model[0].weight.data[:] = 1
    model[0].weight.data[0, 0] = 0
    assert model_bytes(model) == 4 * 120, "one zero saves less than the bits cost"
