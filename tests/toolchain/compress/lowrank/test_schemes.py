"""Every scheme: full rank is the layer, any rank is a layer with the weight that was said, prices are counted."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toolchain.compress.lowrank.geometry import LAYERS, as_dense, metric_of, site_of
from toolchain.compress.lowrank.cp import Cp
from toolchain.compress.lowrank.pairs import Separable, Svd
from toolchain.compress.lowrank.scratch import BnSeparable
from toolchain.compress.lowrank.sparse import SparseLowRank
from toolchain.compress.lowrank.tucker import Tucker2
from toolchain.frontend.macs import count

EXACT = {"svd": Svd, "separable": Separable, "tucker2": Tucker2}
EVERY = {**EXACT, "sparse": lambda metrics=None: SparseLowRank(), "bn": lambda metrics=None: BnSeparable()}


def full(scheme, site):
    return scheme.uniform(site, 10_000)


def close(a, b):
    assert a.shape == b.shape
    scale = float(b.detach().abs().max()) + 1e-9
    assert float((a - b).detach().abs().max()) < 1e-9 * scale


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("weighed", [False, True])
@settings(max_examples=40)
@given(LAYERS)
def test_full_rank_is_the_layer(name, weighed, drawn):
    layer, x = drawn
    site = site_of(layer, x)
    scheme = EXACT[name](metric_of) if weighed else EXACT[name]()
    built = scheme.build(site, full(scheme, site))
    np.testing.assert_allclose(built.tensor, site.tensor, atol=1e-8)
    torch.testing.assert_close(built.layer(x), layer(x), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=40)
@given(LAYERS, st.integers(1, 4))
def test_any_rank_is_a_layer_with_the_weight_that_was_said(name, drawn, rank):
    layer, x = drawn
    site = site_of(layer, x)
    scheme = EVERY[name]()
    built = scheme.build(site, scheme.uniform(site, rank))
    made = built.layer.eval()
    if len(list(made.children())) == 3 and name == "bn":
        made[1].eps = 0.0  # fresh statistics: mean 0, variance 1
    close(made(x), as_dense(layer, built.tensor)(x))


@settings(max_examples=15, deadline=None)
@given(LAYERS, st.integers(1, 3))
def test_cp_is_a_layer_with_the_weight_that_was_said(drawn, rank):
    layer, x = drawn
    site = site_of(layer, x)
    scheme = Cp()
    built = scheme.build(site, scheme.uniform(site, rank))
    close(built.layer(x), as_dense(layer, built.tensor)(x))


@pytest.mark.parametrize("name", [*EVERY, "cp"])
@settings(max_examples=25, deadline=None)
@given(LAYERS, st.integers(1, 4))
def test_prices_are_what_is_counted(name, drawn, rank):
    layer, x = drawn
    site = site_of(layer, x)
    scheme = {**EVERY, "cp": Cp}[name]()
    ranks = scheme.uniform(site, rank)
    built = scheme.build(site, ranks)
    price = scheme.price(site, np.array([ranks]))
    norms = sum(p.numel() for m in built.layer.modules() if isinstance(m, torch.nn.BatchNorm2d) for p in m.parameters())
    params, macs = count(built.layer.eval(), (x,))
    bias = 0 if layer.bias is None else layer.bias.numel()
    if built.layer is not layer:
        assert price.macs[0] == macs
        assert price.params[0] + bias + norms == params
    assert site.macs == count(layer, (x,))[1]


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=25)
@given(LAYERS)
def test_menus_say_the_errors_that_are_built(name, drawn):
    """Of SVDs exactly; of Tucker-2 the alternating least squares may only be better than the menu's first guess."""
    layer, x = drawn
    site = site_of(layer, x)
    scheme = EXACT[name]()
    menu = scheme.menu(site)
    whole = (site.tensor**2).sum()
    for ranks, said in zip(menu.ranks, menu.errors, strict=True):
        error = ((site.tensor - scheme.build(site, tuple(ranks)).tensor) ** 2).sum() / whole
        assert error <= said + 1e-9
        if len(ranks) == 1:
            assert error == pytest.approx(said, abs=1e-9)
