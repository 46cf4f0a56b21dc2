"""Slimming, group norm and half-space steps: the penalties by hand, and what training with them does."""

import copy

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from profiles.errors import ConfigError, UnsupportedError  # noqa: E402
from toolchain.compress import Prune, compress  # noqa: E402
from toolchain.compress.structured.group_norm import GroupNorm, GroupPenalty, shrinkage, squared_norms  # noqa: E402
from toolchain.compress.structured.oto import HalfSpace, half_space, magnitude  # noqa: E402
from toolchain.compress.structured.slimming import ScalePenalty  # noqa: E402


def test_slimming_adds_the_scales_to_the_loss(net, around, groups_of):
    model = net()
    with torch.no_grad():
        model[1].weight[2] = -3.0
    hook = ScalePenalty(list(groups_of(model, around()).values()), 0.01)
    wanted = 0.01 * (model[1].weight.abs().sum() + model[4].weight.abs().sum())
    penalty = hook.penalty(None)
    assert float(penalty.detach()) == pytest.approx(float(wanted.detach()), rel=1e-6)
    penalty.backward()
    assert torch.allclose(model[1].weight.grad, 0.01 * model[1].weight.sign())


def test_slimming_scores_scales_and_leaves_groups_without_them(net, around):
    model, context = net(), around(data=None)
    with torch.no_grad():  # of a large scale below 0
        model[1].weight[2] = -3.0
    result = compress(model, [Prune(method="slimming", ratio=0.5, scope="layer")], context=context)
    kept = sorted(model[1].weight.abs().argsort()[3:].tolist())
    assert torch.equal(result.model[1].weight, model[1].weight[kept])
    assert result.rows[1].facts["channels"][2] == ["7", 10, 10]
    assert any("'7' (the method has no score for it)" in note for note in result.rows[1].notes)


def test_slimming_without_normalisation_is_refused(around):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(72, 8), torch.nn.Linear(8, 3))
    with pytest.raises(UnsupportedError, match="slimming"):
        compress(model, [Prune(method="slimming")], context=around(data=None))


def test_sparsity_training_shrinks_scales(net, around):
    step = {"method": "slimming", "ratio": 0.25, "lr": 0.1, "sparse_epochs": 3}
    weak, strong = (
        compress(net(), [Prune(**step, strength=strength)], context=around()).model[1].weight.abs().mean()
        for strength in (0.0, 0.2)
    )
    assert strong < 0.8 * weak


def test_group_norm_counts_all_that_depends_on_a_channel(net, around, groups_of):
    model = net()
    found = squared_norms(groups_of(model, around())["0"]).detach()
    parts = [model[0].weight.flatten(1), model[3].weight.transpose(0, 1).flatten(1), model[1].weight[:, None]]
    biases = [model[0].bias, model[1].bias]
    least = sum(part.square().sum(1) for part in parts).detach()
    most = (least + sum(bias.square() for bias in biases)).detach()
    assert (found >= least - 1e-5).all() and (found <= most + 1e-5).all()


def test_the_least_important_channel_is_shrunk_sixteen_times_as_much():
    assert shrinkage(torch.tensor([4.0, 2.0, 0.0])).tolist() == pytest.approx([1.0, 4.0, 16.0])
    assert shrinkage(torch.full((3,), 2.0)).tolist() == [1.0, 1.0, 1.0]


def test_the_group_penalty_is_the_weighted_sum(net, around, groups_of):
    groups = list(groups_of(net(), around()).values())
    norms = [squared_norms(group).detach() for group in groups]
    wanted = 0.5 * sum(float((shrinkage(part) * part).sum()) for part in norms)
    assert float(GroupPenalty(groups, 0.5).penalty(None).detach()) == pytest.approx(wanted, rel=1e-5)


def test_group_lasso_training_drives_the_least_important_channels_down(net, around, groups_of):
    spread = []
    for strength in (0.0, 0.01):
        model, context = net(), around()
        groups = list(groups_of(model, context).values())
        GroupNorm().train(
            model, groups, Prune(method="group_norm", sparse_epochs=4, lr=0.05, strength=strength), context
        )
        norms = squared_norms(groups[1]).detach()
        spread.append(float(norms.min() / norms.max()))
    assert spread[1] < 0.7 * spread[0]


def test_a_half_space_step_shrinks_projects_and_ends_at_zero():
    before = torch.tensor([[3.0, 4.0], [1.0, 0.0], [3.0, 4.0]])
    now = torch.tensor([[3.0, 4.0], [-0.5, 0.0], [0.003, 0.004]])
    # lr x lambda = 1: 5 becomes 4; the second crossed to the other side; the third is shorter than the step
    assert half_space(now, before, 1.0, 1000).tolist() == pytest.approx([0.8, 0.0, 0.0])
    assert half_space(now, before, 0.0, 10).tolist() == pytest.approx([0.9, 0.0, 0.9])
    assert half_space(now, before, 0.0, 10, epsilon=0.5).tolist() == pytest.approx([0.9, 0.0, 0.0])
    assert half_space(now, before, 0.0, 1).tolist() == [0.0, 0.0, 0.0]
    assert half_space(torch.zeros(1, 2), torch.zeros(1, 2), 0.0, 10).tolist() == [0.0]


def test_redundant_channels_are_zero_after_the_training_and_others_are_not(net, around, groups_of):
    model, context = net(), around()
    groups = groups_of(model, context)
    hook = HalfSpace(list(groups.values()), {"0": [1, 4], "7": [0]}, strength=1e-3)
    context.fit(model, "a test", epochs=4, lr=0.05, hooks=[hook])
    assert magnitude(groups["0"])[[1, 4]].tolist() == [0, 0] and magnitude(groups["0"])[[0, 2, 3, 5]].min() > 0.01
    assert magnitude(groups["7"])[0] == 0 and magnitude(groups["3"]).min() > 0.01
    assert "HalfSpace({'0': [1, 4], '7': [0]}" in repr(hook)


def test_only_train_once_cuts_without_any_change(net, around, monkeypatch):
    from toolchain.compress.structured.run import Job

    seen = {}
    cut = Job.remove

    def remember(job, model, drop):
        seen["trained"] = copy.deepcopy(model)
        return cut(job, model, drop)

    monkeypatch.setattr(Job, "remove", remember)
    result = compress(net(), [Prune(method="oto", ratio=0.5, scope="layer", epochs=4, lr=0.05)], context=around())
    x = torch.randn(5, 2, 6, 6)
    assert result.rows[1].facts["kept"] == 0.5 and result.rows[1].params < result.rows[0].params
    assert torch.allclose(seen["trained"](x), result.model(x), atol=1e-5)
    with pytest.raises(ConfigError, match="while it trains"):
        compress(net(), [Prune(method="oto")], context=around())
