"""Scores from weights, against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

torch = pytest.importorskip("torch", reason="scores are torch tensors")

from toolchain.compress import Prune, compress  # noqa: E402
from toolchain.compress.structured.norms import adaptive, distances, norm  # noqa: E402
from toolchain.compress.structured.views import filters  # noqa: E402

MATRICES = arrays(np.float64, (5, 3), elements=st.floats(-4, 4, width=32))


@settings(max_examples=40, deadline=None)
@given(MATRICES)
def test_norms_and_distances_are_the_textbooks(values):
    rows = torch.from_numpy(values)
    assert np.allclose(norm(rows, 1), np.abs(values).sum(1))
    assert np.allclose(norm(rows, 2), np.sqrt((values**2).sum(1)))
    brute = [sum(np.sqrt(((a - b) ** 2).sum()) for b in values) for a in values]
    assert np.allclose(distances(rows), brute)


def test_the_filter_at_the_geometric_median_goes_first():
    points = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [-10.0, 0.0], [0.0, -10.0]])
    assert int(distances(points).argmin()) == 0


def test_lamp_is_each_square_over_all_that_are_not_smaller():
    assert adaptive(torch.tensor([4.0, 1.0, 9.0])).tolist() == pytest.approx([4 / 13, 1 / 14, 1.0])


@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, 6, elements=st.floats(0, 9), unique=True))
def test_lamp_keeps_the_order_and_ends_at_one(squares):
    scores = adaptive(torch.from_numpy(squares)).numpy()
    assert (np.argsort(scores) == np.argsort(squares)).all() and scores.max() == pytest.approx(1)


def test_filters_leave_biases_out(net, around, groups_of):
    model = net()
    group = groups_of(model, around(data=None))["0"]
    assert torch.equal(filters(group), model[0].weight.flatten(1))


@pytest.mark.parametrize(("method", "order"), [("l1", 1), ("l2", 2)])
def test_the_smallest_filters_are_cut_off(net, around, method, order):
    model, context = net(), around(data=None)
    with torch.no_grad():  # the least by one norm is the most by the other
        model[0].weight.flatten(1)[:] = 1.0 / 3
        model[0].weight.flatten(1)[3:] = 0.0
        model[0].weight[3:, 0, 0, 0] = torch.tensor([3.0, 4.0, 5.0])
    result = compress(model, [Prune(method=method, ratio=0.5, scope="layer")], context=context)
    small = norm(model[0].weight.flatten(1), order).argsort()[:3]
    kept = [i for i in range(6) if i not in small]
    assert kept == ([0, 1, 2] if order == 1 else [3, 4, 5])
    assert torch.equal(result.model[0].weight, model[0].weight[kept])
    assert result.rows[1].facts["channels"] == [["0", 6, 3], ["3", 8, 4], ["7", 10, 5]]
    assert result.rows[1].facts["kept"] == 0.5


def test_chance_follows_the_seed(net, around):
    step = [Prune(method="random", ratio=0.5, scope="layer")]
    one, same, other = (
        compress(net(), step, context=around(data=None, seed=seed)).model[3].weight for seed in (1, 1, 2)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)
