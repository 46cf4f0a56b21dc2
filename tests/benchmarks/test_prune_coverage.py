"""The judge of the pruning benchmark tells right from wrong, whoever pruned; the page counts what it found."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from benchmarks import prune_coverage, prune_family
from benchmarks.prune_family import CRASHED, REFUSED, RIGHT, WRONG, _problem, _tried
from profiles.errors import ModelError
from toolchain.compress.structured.equivalence import randomise

X = torch.randn(1, 3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def _dense() -> nn.Sequential:
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 2, 3)).double().eval()
    randomise(net, 0)
    return net


def _cut(net: nn.Sequential, out: list[int], read: list[int]) -> tuple[int, int]:
    with torch.no_grad():
        for holder, key in [(net[0], "weight"), (net[0], "bias"), (net[1], "weight"), (net[1], "bias")]:
            setattr(holder, key, nn.Parameter(getattr(holder, key)[out]))
        net[1].running_mean, net[1].running_var = net[1].running_mean[out], net[1].running_var[out]
        net[3].weight = nn.Parameter(net[3].weight[:, read])
    return 1, 0


def test_a_right_cut_is_right_and_one_with_shifted_channels_is_wrong() -> None:
    dense = _dense()
    right, wrong = copy.deepcopy(dense), copy.deepcopy(dense)
    _cut(right, [0, 2, 5], [0, 2, 5])
    _cut(wrong, [0, 2, 5], [0, 3, 5])
    assert _problem(right, dense, X) == ""
    assert "outputs differ" in _problem(wrong, dense, X)


def _raising(error: Exception) -> tuple[int, int]:
    raise error


@pytest.mark.parametrize(
    ("prune", "verdict"),
    [
        (lambda net, x: _cut(net, [1, 4], [1, 4]), RIGHT),
        (lambda net, x: _cut(net, [1, 4], [4, 1]), WRONG),
        (lambda net, x: _cut(net, [1, 4], [1, 3, 4]), CRASHED),
        (lambda net, x: (0, 0), REFUSED),
        (lambda net, x: _raising(ModelError("no")), REFUSED),
        (lambda net, x: _raising(IndexError("no")), CRASHED),
    ],
)
def test_verdicts(prune: object, verdict: str) -> None:
    dense = _dense()
    outcome = _tried(prune, copy.deepcopy(dense), dense, X)  # type: ignore[arg-type]
    assert outcome.verdict == verdict
    assert (outcome.reason == "") == (verdict == RIGHT)
    assert (outcome.kept < 1) == (verdict in (RIGHT, WRONG))


def test_all_families_are_networks_of_the_package() -> None:
    pytest.importorskip("pytorchcv")
    from toolchain.frontend.zoo.pytorchcv import names

    assert len(prune_coverage.FAMILIES) >= 55
    assert len({family for family, _, _ in prune_coverage.FAMILIES}) == len(prune_coverage.FAMILIES)
    assert {name for _, name, _ in prune_coverage.FAMILIES} <= set(names())


def test_missed_goals_are_named() -> None:
    right, wrong = ({"ours": {"verdict": word}, "peer": {"verdict": word}} for word in (RIGHT, WRONG))
    assert prune_coverage._missed({str(i): right for i in range(55)}) == []
    assert len(prune_coverage._missed({str(i): right for i in range(54)} | {"x": wrong})) == 1
    assert len(prune_coverage._missed({str(i): right for i in range(53)} | {"x": wrong, "y": wrong})) == 2


def test_the_judge_is_the_peers_too() -> None:
    """Torch-Pruning on a plain chain is right, and is said to be."""
    dense = _dense()
    outcome = _tried(prune_family._peer, copy.deepcopy(dense), dense, X)
    assert (outcome.verdict, outcome.groups) == (RIGHT, 1)
