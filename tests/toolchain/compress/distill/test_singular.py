"""Singular vectors: values against torch's SVD, gradients against finite differences."""

import pytest
import torch

from toolchain.compress.distill.singular import _Eigenvectors, aligned, relation, truncated


@pytest.mark.parametrize(("channels", "positions"), [(4, 9), (7, 3)])
def test_vectors_are_those_of_the_svd(draw, channels, positions):
    maps = draw(3, channels, positions, dtype=torch.float64)
    values, vectors = truncated(maps, 2)
    _, exact, turned = torch.linalg.svd(maps.transpose(1, 2), full_matrices=False)
    assert torch.allclose(values, exact[:, :2] / maps.flatten(1).norm(dim=1, keepdim=True), atol=1e-6)
    cosines = (vectors * turned[:, :2].transpose(1, 2)).sum(1).abs()
    assert torch.allclose(cosines, torch.ones(3, 2).double(), atol=1e-6)


def test_the_gradient_of_vectors_is_the_exact_one_where_values_lie_apart(draw):
    basis = torch.linalg.qr(draw(4, 4, dtype=torch.float64))[0]
    matrix = (basis * torch.tensor([9.0, 4.0, 2.0, 0.5])) @ basis.T

    def outer(x):
        values, vectors = _Eigenvectors.apply((x + x.T) / 2)
        return values, vectors[:, :2, None] * vectors[:, None, :2]  # whatever the signs

    assert torch.autograd.gradcheck(outer, matrix.requires_grad_(), rtol=1e-4)


def test_gradients_stay_finite_where_singular_values_coincide():
    maps = torch.eye(4)[None].repeat(2, 1, 1).requires_grad_()
    values, vectors = truncated(maps, 3)
    (vectors.sum() + values.sum()).backward()
    assert bool(torch.isfinite(maps.grad).all())


def test_empty_maps_do_no_harm_and_broken_ones_stay_visible():
    zero = torch.zeros(1, 3, 4, requires_grad=True)
    vectors = truncated(zero, 2)[1]
    vectors.sum().backward()
    assert bool(torch.isfinite(vectors).all()) and bool(torch.isfinite(zero.grad).all())
    assert bool(torch.isnan(truncated(torch.full((1, 3, 4), torch.nan), 2)[1]).all())


def test_alignment_finds_order_and_signs_again(draw):
    basis = torch.linalg.qr(draw(5, 5, 5))[0]
    turned = torch.stack([-basis[:, :, 2], basis[:, :, 0], basis[:, :, 1], -basis[:, :, 3]], dim=2)
    assert torch.allclose(aligned(turned, basis[:, :, :3]), basis[:, :, :3])


def test_the_loss_by_brute_force(build, seen, draw):
    student, teacher = ([draw(2, 4, 3, 3, seed=s), draw(2, 5, 2, 2, seed=s + 1)] for s in (0, 7))
    term = build("svd_ss", student, teacher)

    def first(maps, count):
        rows = maps.flatten(2).transpose(1, 2)
        return torch.linalg.svd(rows, full_matrices=False)[2][:, :count]

    wanted = 0.0
    for n in range(2):
        chosen = []
        for s, t in zip(student, teacher, strict=True):
            own, other = first(s, 4)[n], first(t, 1)[n][0]
            other = other * torch.sign(other.sum())
            best = max(own, key=lambda v, other=other: abs(v @ other))
            chosen.append((best * torch.sign(best @ other), other))
        (s1, t1), (s2, t2) = chosen
        for i in range(4):
            for j in range(5):
                gap = torch.exp(-((s1[i] - s2[j]) ** 2) / 8) - torch.exp(-((t1[i] - t2[j]) ** 2) / 8)
                wanted += gap**2 / 2
    assert torch.allclose(term(seen(None, *student), seen(None, *teacher), None), wanted, rtol=1e-3)


def test_relations_are_gaussians_of_differences():
    front, back = torch.tensor([[[0.0], [1.0]]]), torch.tensor([[[2.0]]])
    assert torch.allclose(relation(front, back).flatten(), torch.exp(-torch.tensor([4.0, 1.0]) / 8))
