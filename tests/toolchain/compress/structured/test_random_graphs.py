"""Every random net is pruned equivalently, or refused with a reason; a wrong cut is always found."""

from __future__ import annotations

import copy
import dataclasses
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.errors import ModelError
from tests.toolchain.compress.structured.oracle import largest_difference, masked
from tests.toolchain.compress.structured.random_graphs import BLOCKS, make
from toolchain.compress.structured import handlers
from toolchain.compress.structured.equivalence import check
from toolchain.compress.structured.groups import Pruner
from toolchain.compress.structured.groups_cut import Cut

torch.set_num_threads(1)
CLOSE = 1e-9


def _drawn(pruner: Pruner, seed: int) -> dict[str, list[int]]:
    draw = random.Random(seed)
    return {g.name: draw.sample(range(g.channels), draw.randint(0, pruner.allowed(g))) for g in pruner.groups}


def _prune(seed: int, blocks: int = 3) -> tuple[float, Pruner, dict[str, list[int]]]:
    """Prune a net by chance; how far the result is from the masked one."""
    net, x = make(seed, blocks)
    before = copy.deepcopy(net)
    pruner = Pruner(net, (x,))
    drop = _drawn(pruner, seed)
    dense = masked(before, pruner.groups, drop)
    pruner.remove(drop)
    return largest_difference(net, dense, torch.randn(3, *x.shape[1:])), pruner, drop


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10**6))
def test_a_random_net_is_pruned_to_the_masked_one(seed: int) -> None:
    difference, pruner, _ = _prune(seed)
    assert difference < CLOSE
    assert all(reason for _, reason in pruner.left_out)
    assert pruner.groups


def test_all_blocks_are_drawn() -> None:
    drawn = {type(block) for seed in range(90) for block in make(seed, 2)[0].blocks}
    assert drawn == set(BLOCKS)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: b.__name__)
def test_every_block_loses_channels_or_says_why(block: type[torch.nn.Module]) -> None:
    seed = next(s for s in range(500) if [type(b) for b in make(s, 1)[0].blocks] == [block])
    difference, pruner, _ = _prune(seed, 1)
    assert difference < CLOSE
    named = {m.name for g in pruner.groups for m in g.members if m.axis == "out"} | {n for n, _ in pruner.left_out}
    kinds = (torch.nn.Conv2d, torch.nn.Linear, torch.nn.ConvTranspose2d)
    layers = [n for n, m in pruner.model.named_modules() if isinstance(m, kinds) and m.weight.shape[0] > 1]
    assert set(layers) <= {n.split(":")[0] for n in named}


def _mutants(seed: int) -> Iterator[tuple[Any, ...]]:
    """Plans with one cut in the wrong place: right in number, so that all shapes fit."""
    net, x = make(seed)
    pruner = Pruner(net, (x,))
    drop = {name: channels for name, channels in _drawn(pruner, seed).items() if channels}
    gone = {root for name, channels in drop.items() for root in pruner._roots(name, channels)}
    plan, zeros = pruner._built.plan(gone), pruner._built.zeros(gone)
    for i, cut in enumerate(plan.cuts):
        weight = dict(net.named_parameters()).get(".".join(cut.names[0]).lstrip("."))
        if weight is None or weight.ndim < 2:
            continue
        wrong = tuple(sorted({cut.keep[0], *cut.drop[1:]}))
        cuts = (*plan.cuts[:i], dataclasses.replace(cut, drop=wrong), *plan.cuts[i + 1 :])
        yield net, x, dataclasses.replace(plan, cuts=cuts), zeros, cut


@pytest.mark.parametrize("seed", range(4))
def test_the_gate_finds_one_cut_in_the_wrong_place(seed: int) -> None:
    found = list(_mutants(seed))
    assert found
    for net, x, plan, zeros, cut in found:
        assert check(net, (x,), plan, zeros).problem, cut


def test_the_gate_passes_what_is_right_and_nothing_else_by_chance() -> None:
    net, x = make(3)
    pruner = Pruner(net, (x,))
    gone = set(pruner._roots(pruner.groups[0].name, [0]))
    plan, zeros = pruner._built.plan(gone), pruner._built.zeros(gone)
    assert not check(net, (x,), plan, zeros).problem
    assert check(net, (x,), plan, []).problem
    other = [Cut(z.names, z.dim, z.length, tuple((p + 1) % z.length for p in z.drop)) for z in zeros]
    assert check(net, (x,), plan, other).problem


def _reversed_cat(call: Any) -> Any:
    axes = list(handlers.HANDLERS["_cat"](call))
    return tuple(a if a is None else a[::-1] for a in axes)


def _shifted_view(call: Any) -> Any:
    axes = list(handlers.HANDLERS["_view"](call))
    merges = call.args[0].ndim == 5 and call.out.ndim == 4
    return tuple(np.roll(a, 1) if merges and a is not None else a for a in axes)


@pytest.mark.parametrize(("name", "rule"), [("cat", _reversed_cat), ("view", _shifted_view)])
def test_a_wrong_rule_is_never_silently_wrong(name: str, rule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(handlers.HANDLERS, f"_{name}", handlers.HANDLERS[name])
    monkeypatch.setitem(handlers.HANDLERS, name, rule)
    excluded = 0
    for seed in range(8):
        try:
            difference, pruner, _ = _prune(seed)
        except ModelError:
            continue
        assert difference < CLOSE
        excluded += sum("does not equal" in reason for _, reason in pruner.left_out)
    assert excluded
