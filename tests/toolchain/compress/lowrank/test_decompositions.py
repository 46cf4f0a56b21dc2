"""Closed forms: the tail of the spectrum, the reduced-rank regression, tensors of known rank, sparse and low rank."""

import numpy as np
import pytest
import torch

from tests.toolchain.compress.lowrank.geometry import metric_of, site_of
from toolchain.compress.lowrank import cp
from toolchain.compress.lowrank.pairs import Separable, Svd, tail
from toolchain.compress.lowrank.sparse import decompose
from toolchain.compress.lowrank.tucker import Tucker2, hooi


def site(out=6, inner=5, kernel=(3, 2), seed=0):
    torch.manual_seed(seed)
    layer = torch.nn.Conv2d(inner, out, kernel, padding=1).double()
    return site_of(layer, torch.randn(1, inner, 6, 6, dtype=torch.float64))


def test_the_tail_of_a_spectrum():
    np.testing.assert_allclose(tail(np.array([3.0, 2.0, 1.0])), [5, 1, 0])


@pytest.mark.parametrize("rank", [1, 2, 4, 6])
def test_svd_leaves_the_tail_of_the_spectrum(rank):
    one = site()
    values = torch.linalg.svdvals(one.layer.weight.flatten(1)).detach().numpy()
    error = ((one.tensor - Svd().build(one, (rank,)).tensor) ** 2).sum()
    assert error == pytest.approx((values[rank:] ** 2).sum(), abs=1e-12)


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_svd_in_a_metric_leaves_the_tail_of_the_weighed_spectrum_and_nothing_leaves_less(rank):
    """Eckart & Young in the metric; alternating least squares from random starts never gets below."""
    one = site()
    metric = metric_of(one)
    weighed = metric.left @ one.tensor.reshape(6, -1) @ metric.right
    left = Svd(lambda _: metric).build(one, (rank,)).tensor
    error = ((metric.left @ (one.tensor - left).reshape(6, -1) @ metric.right) ** 2).sum()
    assert error == pytest.approx((np.linalg.svd(weighed)[1][rank:] ** 2).sum())
    right = np.random.default_rng(1).standard_normal((rank, weighed.shape[1]))
    for _ in range(50):
        factor = weighed @ np.linalg.pinv(right)
        right = np.linalg.pinv(factor) @ weighed
    assert error <= ((weighed - factor @ right) ** 2).sum() + 1e-9


def test_separable_is_exact_for_products_of_columns_and_rows():
    """A sum of R products (I, kh) x (O, kw) has rank R after the rearrangement."""
    one = site(4, 3, (3, 3))
    random = np.random.default_rng(0)
    tensor = np.einsum("riv,roh->oivh", random.standard_normal((2, 3, 3)), random.standard_normal((2, 4, 3)))
    one.layer.weight.data = torch.from_numpy(tensor)
    assert Separable().menu(one).errors[1] < 1e-20 < Separable().menu(one).errors[0]
    np.testing.assert_allclose(Separable().build(one, (2,)).tensor, tensor, atol=1e-12)


def test_tucker_finds_the_ranks_that_a_tensor_has():
    one = site(8, 7, (3, 3))
    random = np.random.default_rng(0)
    core = random.standard_normal((2, 3, 3, 3))
    tensor = np.einsum("ar,bs,rshw->abhw", random.standard_normal((8, 2)), random.standard_normal((7, 3)), core)
    one.layer.weight.data = torch.from_numpy(tensor)
    menu = Tucker2().menu(one)
    exact = {tuple(ranks) for ranks, error in zip(menu.ranks, menu.errors, strict=True) if error < 1e-20}
    assert exact == {(a, b) for a in range(2, 9) for b in range(3, 8)}
    np.testing.assert_allclose(Tucker2().build(one, (2, 3)).tensor, tensor, atol=1e-12)
    noisy = torch.from_numpy(tensor + 1e-3 * random.standard_normal(tensor.shape))
    one.layer.weight.data = noisy
    assert Tucker2().vbmf(one) == (2, 3)


@pytest.mark.parametrize(("shape", "ranks"), [((8, 7, 3, 3), (3, 2)), ((1, 3, 3, 1), (1, 1)), ((6, 5, 1, 2), (4, 4))])
def test_the_iteration_ends_where_tensorly_ends(shape, ranks):
    partial_tucker = pytest.importorskip("tensorly.decomposition", reason="the oracle").partial_tucker
    tensor = np.random.default_rng(0).standard_normal(shape)
    core, u, v = hooi(tensor, *ranks)
    np.testing.assert_allclose(u.T @ u, np.eye(ranks[0]), atol=1e-12)
    np.testing.assert_allclose(core, np.einsum("oihw,or,is->rshw", tensor, u, v), atol=1e-12)
    (other, _), _ = partial_tucker(tensor, list(ranks), modes=[0, 1], n_iter_max=200, tol=1e-12)
    assert (core**2).sum() == pytest.approx((other**2).sum(), rel=1e-5)


def test_the_iteration_is_exact_at_full_rank_and_better_than_where_it_starts():
    tensor = np.random.default_rng(0).standard_normal((8, 7, 3, 3))
    core, u, v = hooi(tensor, 8, 7)
    np.testing.assert_allclose(np.einsum("rshw,or,is->oihw", core, u, v), tensor, atol=1e-12)
    u, v = (np.linalg.svd(np.moveaxis(tensor, axis, 0).reshape(tensor.shape[axis], -1))[0] for axis in (0, 1))
    start = np.einsum("oihw,or,is->rshw", tensor, u[:, :2], v[:, :2])
    assert (hooi(tensor, 2, 2)[0] ** 2).sum() > (start**2).sum() * 1.01


def test_tucker_in_a_metric_solves_a_reduced_rank_regression():
    """Given V, the best U and core: with R_out = O plain least squares, else no random factors do better."""
    one = site(5, 4, (2, 2))
    metric = metric_of(one)
    scheme = Tucker2(lambda _: metric)

    def error(tensor):
        return ((metric.left @ (one.tensor - tensor).reshape(5, -1) @ metric.right) ** 2).sum()

    built = scheme.build(one, (5, 2))
    first = built.layer[0].weight.detach().flatten(1).numpy()
    inputs = np.einsum("ri,ihwd->rhwd", first, metric.right.reshape(4, 2, 2, 16)).reshape(8, 16)
    target = metric.left @ one.tensor.reshape(5, -1) @ metric.right
    best = np.linalg.lstsq(inputs.T, target.T, rcond=None)[0]
    assert error(built.tensor) == pytest.approx(((target - (inputs.T @ best).T) ** 2).sum())
    narrow = scheme.build(one, (2, 2))
    first, core, last = (stage.weight.detach().numpy() for stage in narrow.layer)
    random = np.random.default_rng(0)
    for _ in range(50):
        moved = [w + 0.02 * random.standard_normal(w.shape) for w in (core, last)]
        other = np.einsum("or,rshw,si->oihw", moved[1][:, :, 0, 0], moved[0], first[:, :, 0, 0])
        assert error(narrow.tensor) < error(other)


def test_cp_finds_a_tensor_of_low_rank():
    random = np.random.default_rng(0)
    factors = tuple(random.standard_normal((size, 3)) for size in (6, 5, 3, 3))
    one = site(6, 5, (3, 3))
    one.layer.weight.data = torch.from_numpy(cp.rebuilt(factors))
    built = cp.Cp().build(one, (3,))
    assert not built.note
    assert np.linalg.norm(built.tensor - one.tensor) < 1e-4 * np.linalg.norm(one.tensor)


def test_cp_components_have_even_norms():
    built = cp.Cp().build(site(6, 5, (3, 3)), (4,))
    stages = [stage.weight.detach().flatten(1) for stage in built.layer]
    norms = [stages[0].norm(dim=1), stages[1].norm(dim=1), stages[2].norm(dim=1), stages[3].norm(dim=0)]
    torch.testing.assert_close(torch.stack(norms), norms[0].expand(4, -1))


def test_components_that_cancel_are_degenerate():
    a, b = np.eye(2)
    one, two = [a + 1e-3 * b] * 4, [a] * 4
    stacked = tuple(np.stack(columns, 1) for columns in zip(one, two, strict=True))
    stacked = (stacked[0] * np.array([1e3, -1e3]), *stacked[1:])
    assert cp._degenerate(cp.rebuilt(stacked), stacked)
    assert not cp._degenerate(cp.rebuilt((np.eye(2),) * 4), (np.eye(2),) * 4)


def test_a_layer_whose_cp_degenerates_stays_with_a_note(monkeypatch):
    one = site(6, 5, (3, 3))
    monkeypatch.setattr(cp, "_degenerate", lambda tensor, factors: True)
    built = cp.Cp().build(one, (3,))
    assert built.layer is one.layer
    assert "degenerates" in built.note


def test_low_rank_and_sparse_parts_are_told_apart():
    random = np.random.default_rng(0)
    low = random.standard_normal((30, 2)) @ random.standard_normal((2, 40))
    sparse = np.zeros(1200)
    sparse[random.choice(1200, 40, replace=False)] = random.choice([-9.0, 9.0], 40)
    parts = decompose(low + sparse.reshape(30, 40), 2, 40)
    np.testing.assert_allclose(parts.sparse, sparse.reshape(30, 40), atol=1e-5)
    np.testing.assert_allclose(parts.left @ parts.right, low, atol=1e-5)


@pytest.mark.parametrize(("rank", "nonzeros"), [(1, 5), (3, 20), (5, 60)])
def test_together_they_beat_each_alone(rank, nonzeros):
    matrix = np.random.default_rng(1).standard_normal((12, 20)) ** 3
    parts = decompose(matrix, rank, nonzeros)
    assert np.linalg.matrix_rank(parts.left @ parts.right) == rank
    assert np.count_nonzero(parts.sparse) == nonzeros
    error = ((matrix - parts.matrix) ** 2).sum()
    u, values, vt = np.linalg.svd(matrix, full_matrices=False)
    rest = np.sort(np.abs(matrix - (u[:, :rank] * values[:rank]) @ vt[:rank]).ravel())[: 240 - nonzeros]
    assert error <= (rest**2).sum() + 1e-9
    assert error <= (np.sort(np.abs(matrix).ravel())[: 240 - nonzeros] ** 2).sum()
