"""Brain surgery against least squares and brute force, in float64."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolchain.compress.sparse import surgeon
from toolchain.compress.sparse.obs import ranked
from toolchain.compress.sparse.surgeon import damped, inverse, losses_at_once, refitted, removal_order


def problem(rows, columns, samples, seed=0):
    """W (rows, columns) and X (columns, samples) with inputs that go together."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    return draw(rows, columns), draw(columns, columns) @ draw(columns, samples)


def hessian(x):
    return (2 * x @ x.T)[None]


def best_without(row, x, gone):
    """The oracle: the row of least ||(w' - w) X||² with zeros at ``gone``, by numpy's least squares, and that error."""
    stay = [q for q in range(len(row)) if q not in gone]
    found = torch.zeros_like(row)
    if stay:
        found[stay] = torch.linalg.lstsq(x[stay].T, x.T @ row, driver="gelsd").solution
    return found, ((found - row) @ x).square().sum()


def test_the_loss_of_a_removal_is_what_least_squares_leaves():
    w, x = problem(3, 6, 40)
    losses = losses_at_once(w, inverse(hessian(x)))
    for r, q in itertools.product(range(3), range(6)):
        assert losses[r, q] == pytest.approx(best_without(w[r], x, {q})[1].item(), rel=1e-8)


def test_every_greedy_step_is_the_best_of_all():
    """Brute force over every candidate in every step, each by least squares."""
    w, x = problem(4, 7, 30, seed=1)
    order, losses = removal_order(w, inverse(hessian(x)))
    for r in range(4):
        gone, error = set(), 0.0
        for step in range(7):
            tried = {q: best_without(w[r], x, gone | {q})[1].item() for q in range(7) if q not in gone}
            q = min(tried, key=tried.get)
            assert order[r, step] == q
            assert losses[r, step] == pytest.approx(tried[q] - error, rel=1e-6)
            gone, error = gone | {q}, tried[q]


@given(st.integers(1, 4), st.integers(1, 8), st.integers(0, 10_000), st.data())
@settings(max_examples=40)
def test_refitting_solves_the_constrained_least_squares_problem(rows, columns, seed, data):
    w, x = problem(rows, columns, 3 * columns, seed)
    keep = torch.tensor(data.draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns)))
    keep = keep.view(rows, columns)
    found = refitted(w, keep, hessian(x))
    assert not found[~keep].any()
    for r in range(rows):
        expected, _ = best_without(w[r], x, {q for q in range(columns) if not keep[r, q]})
        assert torch.allclose(found[r], expected, rtol=1e-5, atol=1e-6)


@given(st.integers(1, 4), st.integers(2, 8), st.integers(1, 12), st.integers(0, 10_000), st.floats(1e-6, 10))
@settings(max_examples=60)
def test_refitting_is_never_worse_than_zeroing_on_the_same_mask(rows, columns, samples, seed, damping):
    """Also with fewer samples than inputs, and however strongly damped."""
    w, x = problem(rows, columns, samples, seed)
    keep = torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed)) < 0.5
    found = refitted(w, keep, damped(hessian(x), damping))
    error = ((found - w) @ x).square().sum(1)
    plain = ((w * keep - w) @ x).square().sum(1)
    assert (error <= plain * (1 + 1e-9) + 1e-9).all()


def test_work_in_parts_gives_the_same(monkeypatch):
    w, x = problem(9, 5, 30, seed=2)
    h = hessian(x).repeat(9, 1, 1) * torch.arange(1, 10)[:, None, None]
    keep = w > 0
    whole = removal_order(w, inverse(h)), refitted(w, keep, h)
    monkeypatch.setitem(surgeon.AT_ONCE, "cpu", 2 * 25)
    assert [part.stop - part.start for part in surgeon.chunks(w)] == [2] * 5
    parts = removal_order(w, inverse(h)), refitted(w, keep, h)
    assert torch.equal(whole[0][0], parts[0][0]) and torch.allclose(whole[0][1], parts[0][1])
    assert torch.allclose(whole[1], parts[1])


def test_inputs_that_are_always_zero_are_no_matter():
    w = torch.tensor([[3.0, -1.0, 2.0]], dtype=torch.float64)
    h = damped(torch.zeros(1, 3, 3, dtype=torch.float64))
    assert removal_order(w, inverse(h))[0].tolist() == [[1, 2, 0]]
    assert refitted(w, w.abs() > 1.5, h).tolist() == [[3.0, 0.0, 2.0]]


def test_the_cost_of_getting_on_orders_rows_as_greedy_competition_does():
    """The oracle: rows offer their next removal, the cheapest one is taken, again and again."""
    w, x = problem(5, 6, 20, seed=3)
    h = hessian(x)
    found = ranked(w, h, greedy=True)
    order, losses = removal_order(w, inverse(h))
    taken = [0] * 5
    for count in range(1, 30):
        row = min((r for r in range(5) if taken[r] < 6), key=lambda r: losses[r, taken[r]].item())
        taken[row] += 1
        lowest = torch.sort(found.costs.flatten(), stable=True).indices[:count]
        keep = torch.ones(30, dtype=torch.bool)
        keep[lowest] = False
        gone = ~found.mask(keep.view(5, 6))
        for r in range(5):
            assert set(gone[r].nonzero()[:, 0].tolist()) == set(order[r, : taken[r]].tolist())
    assert losses.diff(dim=1).lt(0).any(), "the problem must have removals that are cheaper than the one before"


def test_blocks_are_ranked_as_if_alone():
    w, x = problem(2, 6, 20, seed=4)
    h = hessian(x)
    found = ranked(w, h, greedy=True, block=4)
    first, second = removal_order(w[:, :4], inverse(h[:, :4, :4])), removal_order(w[:, 4:], inverse(h[:, 4:, 4:]))
    assert torch.equal(found.order, torch.cat([first[0], second[0] + 4], 1))
    energy = (w @ x).square().sum()
    expected = torch.cat([first[1].cummax(1).values, second[1].cummax(1).values], 1) / energy
    assert torch.allclose(found.costs, expected)


def test_greedy_does_no_worse_than_ranking_at_once_where_inputs_go_together():
    """Two inputs that are nearly the same: either may go, but not both; only the greedy order sees that."""
    x = torch.tensor([[1.0, -1, 1, -1], [1.0, -1, 1, -0.99], [0.1, 0.1, -0.1, -0.1]], dtype=torch.float64)
    w = torch.tensor([[1.0, 1.0, 1.0]], dtype=torch.float64)
    errors = []
    for greedy in (True, False):
        found = ranked(w, damped(hessian(x), 1e-9), greedy=greedy)
        gone = set(found.order[0, :2].tolist())
        errors.append(best_without(w[0], x, gone)[1].item())
    assert errors[0] < errors[1] / 10
