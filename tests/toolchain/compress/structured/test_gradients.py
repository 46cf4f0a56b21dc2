"""First- and second-order scores against finite differences and exact derivatives."""

import itertools

import pytest

torch = pytest.importorskip("torch", reason="gradients are torch's")

from profiles.errors import DataError  # noqa: E402
from toolchain.compress import Prune, compress  # noqa: E402
from toolchain.compress.structured.gradients import Hessian, Taylor, curvature, gate_gradient, losses  # noqa: E402

NAMES = ("0", "3", "7")


def batch_of(context, options):
    return next(iter(context.batches("a test", 1, options.samples, labels=True)))


@pytest.fixture
def options():
    return Prune(method="taylor", samples=16)


@pytest.mark.parametrize("name", NAMES)
def test_taylor_is_the_finite_difference_of_closing_the_channel(net, around, groups_of, gated_loss, options, name):
    model, context = net(), around()
    groups = groups_of(model, context)
    score = Taylor().score(model, list(groups.values()), options, context)[name]
    loss, step = gated_loss(model, batch_of(context, options), name), 1e-5
    for channel in range(groups[name].channels):
        bent = torch.ones(groups[name].channels, dtype=torch.float64)
        bent[channel] += step
        up = float(loss(bent).detach())
        bent[channel] -= 2 * step
        slope = (up - float(loss(bent).detach())) / (2 * step)
        assert float(score[channel]) == pytest.approx(slope**2, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_curvature_over_all_signs_is_the_exact_second_derivative(
    net, around, groups_of, gated_loss, options, name, monkeypatch
):
    """Hutchinson's estimate, averaged over every vector of signs, has no error left."""
    model, context = net(), around()
    groups = groups_of(model, context)
    some = torch.arange(3)
    group = groups[name]
    signs = itertools.cycle([torch.tensor(s) for s in itertools.product((-1, 1), repeat=group.channels)])
    monkeypatch.setattr("toolchain.compress.structured.gradients._signs", lambda count, generator: next(signs))
    loss = next(iter(losses(model, options, context)))
    found = curvature(model, [group], loss, torch.Generator(), probes=2**group.channels)[name]
    exact = torch.autograd.functional.hessian(
        gated_loss(model, batch_of(context, options), name), torch.ones(group.channels, dtype=torch.float64)
    ).diagonal()
    assert torch.allclose(found.double()[some], exact[some], rtol=1e-3, atol=1e-6)


def test_the_curvature_of_a_quadratic_without_mixed_terms_takes_one_probe(groups_of, around):
    """Loss = sum of a_j (w_j x_j)^2: half its curvature is what removing the channel costs."""
    first, second = torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 4, bias=False)
    model = torch.nn.Sequential(torch.nn.Flatten(), first, second)
    with torch.no_grad():
        first.weight.copy_(torch.eye(4))
        second.weight.copy_(torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0])))
    context = around(inputs={"input": torch.ones(1, 4).numpy()})
    group = groups_of(model, context)["1"]
    factors = torch.tensor([4.0, 1.0, 0.5, 0.25])
    loss = (factors * model(torch.ones(1, 4)) ** 2).sum()
    found = curvature(model, [group], loss, torch.Generator().manual_seed(0), probes=1)["1"]
    assert (found / 2).tolist() == pytest.approx([4.0, 4.0, 4.5, 4.0])


def test_taylor_squares_each_batch_before_the_mean(net, around, groups_of):
    """Batches whose slopes have opposite signs do not cancel out."""
    model, context = net(), around()
    group = groups_of(model, context)["7"]
    both = Taylor().score(model, [group], Prune(method="taylor", samples=32), context)["7"]
    parts = []
    for batch in context.batches("a test", 2, 16):
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(batch.x), batch.labels).backward()
        parts.append(gate_gradient(group).detach().double().square())
    assert torch.allclose(both, (parts[0] + parts[1]) / 2, rtol=1e-4)


def test_hessian_scores_half_the_curvature_without_its_sign(net, around, groups_of, options, monkeypatch):
    model, context = net(), around()
    group = groups_of(model, context)["7"]
    fixed = torch.linspace(-1, 1, 10)
    monkeypatch.setattr("toolchain.compress.structured.gradients.curvature", lambda *_: {"7": fixed})
    assert torch.allclose(Hessian().score(model, [group], options, context)["7"], fixed.abs().double() / 2)


def test_hessian_looks_at_so_many_samples_at_most(net, around, groups_of, monkeypatch):
    """Its cost does not grow with ``samples``."""
    group = groups_of(net(), around())["7"]
    sizes = []

    def count(model, groups, loss, generator):
        sizes.append(1)
        return {"7": torch.zeros(10)}

    monkeypatch.setattr("toolchain.compress.structured.gradients.curvature", count)
    Hessian().score(net(), [group], Prune(method="hessian", samples=100_000), around())
    assert len(sizes) == 4
    Hessian().score(net(), [group], Prune(method="hessian", samples=33), around())
    assert len(sizes) == 4 + 2


def test_scoring_leaves_no_trace(net, around, groups_of, options):
    model, context = net(), around()
    model[0].weight.requires_grad_(False)
    groups = list(groups_of(model, context).values())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for criterion in (Taylor(), Hessian()):
        assert criterion.score(model, groups, options, context)["0"].abs().sum() > 0
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not model[0].weight.requires_grad and all(p.grad is None for p in model.parameters())


def test_a_group_without_gradients_scores_zero(net, around, groups_of):
    group = groups_of(net(), around())["0"]
    assert gate_gradient(group).tolist() == [0.0] * 6


@pytest.mark.parametrize("method", ["taylor", "hessian"])
def test_without_data_the_error_names_the_method(net, around, method):
    with pytest.raises(DataError, match=method):
        compress(net(), [Prune(method=method)], context=around(data=None))


def test_the_loss_is_that_of_the_task(around, groups_of):
    """A reconstruction needs no labels."""
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(72, 9), torch.nn.ReLU(), torch.nn.Linear(9, 72))
    model = torch.nn.Sequential(flat, torch.nn.Unflatten(1, (2, 6, 6)))
    context = around(task="reconstruction")
    groups = list(groups_of(model, context).values())
    scores = Taylor().score(model, groups, Prune(method="taylor", samples=32), context)
    assert scores["0.1"].shape == (9,) and scores["0.1"].sum() > 0
