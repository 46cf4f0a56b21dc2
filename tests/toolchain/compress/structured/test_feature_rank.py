"""Ranks of feature maps."""

import pytest

torch = pytest.importorskip("torch", reason="maps are torch tensors")

from toolchain.compress import Prune, compress  # noqa: E402
from toolchain.compress.structured import feature_rank  # noqa: E402
from toolchain.compress.structured.feature_rank import FeatureRank, map_ranks  # noqa: E402


def test_ranks_are_those_of_the_maps():
    outer = torch.outer(torch.arange(1.0, 5.0), torch.arange(1.0, 6.0))
    two = outer.clone()
    two[0, 0] += 1
    maps = torch.stack([torch.zeros(4, 5), outer, two, torch.eye(4, 5)])
    assert map_ranks(torch.stack([maps, maps])).tolist() == [0.0, 1.0, 2.0, 4.0]
    assert map_ranks(torch.stack([maps, maps.flip(0)])).tolist() == [2.0, 1.5, 1.5, 2.0]


def test_a_channel_that_is_constant_goes_first(net, around, groups_of):
    model, context = net(), around()
    with torch.no_grad():
        model[0].weight[4] = 0  # after normalisation and ReLU: one value everywhere
        model[1].bias[4] = 2.0
        model[1].running_mean[4] = 0.0
    groups = list(groups_of(model, context).values())
    scores = FeatureRank().score(model, groups, Prune(method="feature_rank", samples=40), context)
    assert float(scores["0"][4]) == 1.0 and set(scores) == {"0"}
    x = torch.cat([batch.x for batch in context.batches("a test", 1, 40)])
    brute = torch.linalg.matrix_rank(model[:3](x).detach()).double().mean(0)
    assert torch.allclose(scores["0"], brute)
    result = compress(model, [Prune(method="feature_rank", ratio=0.2, scope="layer")], context=context)
    assert result.model[0].weight.flatten(1).abs().sum(1).min() > 0
    assert any("'7' (the method has no score for it)" in note for note in result.rows[1].notes)


def test_fewer_samples_where_maps_are_many(net, around, groups_of, monkeypatch):
    """The net's only reader of maps has 6 of 6 x 6: 1296 each."""
    seen = []
    monkeypatch.setattr(feature_rank, "map_ranks", lambda x: seen.append(len(x)) or torch.ones(x.shape[1]))
    groups = list(groups_of(net(), around()).values())
    for work in (40 * 1296, 10 * 1296, 0):
        monkeypatch.setattr(feature_rank, "WORK", work)
        FeatureRank().score(net(), groups, Prune(method="feature_rank", samples=30), around())
    assert seen == [30, 10, 4]
