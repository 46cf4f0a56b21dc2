"""Balanced factors: the same function, Gram matrices that agree, and a training that goes on where it was."""

import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.toolchain.compress.lowrank.geometry import LAYERS, metric_of, site_of
from toolchain.compress.lowrank.balance import balance
from toolchain.compress.lowrank.cp import Cp
from toolchain.compress.lowrank.pairs import Separable, Svd
from toolchain.compress.lowrank.tucker import Tucker2

nn = torch.nn
SCHEMES = {"svd": Svd, "separable": Separable, "tucker2": Tucker2, "cp": Cp}


def outgoing(layer):
    return layer.weight.detach().flatten(1)


def incoming(layer):
    """(values, R): in a stage that works channel by channel, its own filters."""
    weight = layer.weight.detach()
    return (
        weight.flatten(1).T if getattr(layer, "groups", 1) > 1 else weight.movedim(1, -1).reshape(-1, weight.shape[1])
    )


@pytest.mark.parametrize("name", SCHEMES)
@given(pair=LAYERS, rank=st.integers(1, 4))
def test_a_chain_computes_what_it_did_and_its_neighbours_weigh_the_same(name, pair, rank):
    layer, x = pair
    site = site_of(layer, x)
    metric = metric_of(site)
    scheme = SCHEMES[name](lambda _: metric)
    chain = scheme.build(site, scheme.uniform(site, rank)).layer
    if chain is layer:  # a decomposition that degenerated
        return
    before = copy.deepcopy(chain)
    balance(chain)
    torch.testing.assert_close(chain(x), before(x), rtol=1e-7, atol=1e-8)
    if len(chain) == 2:
        sizes = outgoing(chain[0]).norm(dim=1), incoming(chain[1]).norm(dim=0)
        torch.testing.assert_close(*sizes, rtol=1e-6, atol=1e-7)


def test_two_stages_have_equal_gram_matrices():
    torch.manual_seed(0)
    chain = nn.Sequential(nn.Conv2d(4, 3, (3, 1), bias=False), nn.Conv2d(3, 5, (1, 3))).double()
    chain[0].weight.data *= 1e3
    before = [layer.weight.detach().clone() for layer in chain]
    balance(chain)
    a, b = outgoing(chain[0]), incoming(chain[1])
    torch.testing.assert_close(a @ a.T, b.T @ b)
    product = np.einsum("rikx,orxl->oikl", *(weight.numpy() for weight in before))
    values = np.linalg.svd(product.transpose(0, 3, 1, 2).reshape(15, 12))[1]
    torch.testing.assert_close((a @ a.T).diagonal(), torch.from_numpy(values[:3]))
    assert values[3] < 1e-9 * values[0]


def test_three_stages_come_close():
    torch.manual_seed(0)
    layers = nn.Conv2d(6, 3, 1, bias=False), nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 7, 1)
    chain = nn.Sequential(*layers).double()
    chain[0].weight.data *= 1e3
    chain[2].weight.data *= 1e-2
    balance(chain)
    for first, second in itertools.pairwise(chain):
        a, b = outgoing(first), incoming(second)
        torch.testing.assert_close(a @ a.T, b.T @ b, rtol=0.02, atol=0.02 * float((a @ a.T).max()))


def test_stages_that_work_channel_by_channel_have_equal_norms():
    torch.manual_seed(0)
    layers = nn.Conv2d(4, 5, 1, bias=False), nn.Conv2d(5, 5, (3, 1), groups=5, bias=False), nn.Conv2d(5, 2, 1)
    chain = nn.Sequential(*layers).double()
    chain[1].weight.data *= 1e3
    for _ in range(5):
        balance(chain)
    sizes = [outgoing(chain[0]).norm(dim=1), outgoing(chain[1]).norm(dim=1), incoming(chain[2]).norm(dim=0)]
    torch.testing.assert_close(sizes[0], sizes[1], rtol=1e-3, atol=0)
    torch.testing.assert_close(sizes[1], sizes[2], rtol=1e-3, atol=0)


def test_components_that_are_zero_or_too_many_stay():
    chain = nn.Sequential(nn.Linear(3, 5, bias=False), nn.Linear(5, 2)).double()  # rank 2 in 5 components
    chain[0].weight.data[1] = 0
    x = torch.randn(4, 3, dtype=torch.float64)
    before = chain(x)
    balance(chain)
    torch.testing.assert_close(chain(x), before)
    assert bool((chain[0].weight[[0, 2, 3, 4]].norm(dim=1) > 0).all()) and bool(torch.isfinite(chain[1].weight).all())


def test_a_step_of_sgd_on_balanced_factors_is_stable():
    """W = B A fitted to itself plus noise, factors 100 times too large and too small: only balanced ones learn."""
    torch.manual_seed(0)
    x = torch.randn(64, 8)
    chain = nn.Sequential(nn.Linear(8, 4, bias=False), nn.Linear(4, 6, bias=False))
    y = chain(x).detach() + 0.1 * torch.randn(64, 6)
    chain[0].weight.data *= 100
    chain[1].weight.data /= 100
    start = float((chain(x) - y).square().mean().detach())
    ends = []
    for even in (False, True):
        trained = copy.deepcopy(chain)
        if even:
            balance(trained)
        optimizer = torch.optim.SGD(trained.parameters(), 0.05)
        for _ in range(10):
            optimizer.zero_grad()
            (trained(x) - y).square().mean().backward()
            optimizer.step()
        ends.append(float((trained(x) - y).square().mean().detach()))
    assert ends[1] < start
    assert not ends[0] < 10 * start
