"""The energy estimate against counts by hand."""

import pytest

torch = pytest.importorskip("torch", reason="counts layers of torch modules")

from toolchain.compress.structured import energy as model  # noqa: E402
from toolchain.frontend.macs import count  # noqa: E402


def test_a_layer_costs_its_macs_and_every_value_once():
    conv = torch.nn.Conv2d(3, 4, 3, padding=1, bias=False)
    costs = model.layer_costs(torch.nn.Sequential(conv), (torch.zeros(1, 3, 5, 5),))
    assert costs == {"0": model.LayerCost(4 * 25 * 27, 4 * 27 + 3 * 25 + 4 * 25)}
    assert costs["0"].joules == pytest.approx(2700 * 14.6e-12 + 283 * 640e-12)


def test_macs_agree_with_the_counter_for_all_kinds_of_layers():
    net = torch.nn.Sequential(
        torch.nn.Conv2d(4, 8, 3, stride=2, groups=2),
        torch.nn.ConvTranspose2d(8, 6, 2, stride=2),
        torch.nn.Flatten(),
        torch.nn.Linear(6 * 64, 5),
    )
    x = torch.zeros(1, 4, 10, 10)
    assert sum(cost.macs for cost in model.layer_costs(net, (x,)).values()) == count(net, (x,))[1]


def test_a_layer_that_runs_twice_costs_twice():
    layer = torch.nn.Linear(4, 4)
    once, twice = (model.energy(torch.nn.Sequential(*[layer] * n), (torch.zeros(1, 4),)) for n in (1, 2))
    assert twice == pytest.approx(2 * once)
