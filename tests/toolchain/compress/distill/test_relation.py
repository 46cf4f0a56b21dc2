"""Losses on relations between samples against values by hand."""

import math

import pytest
import torch

from toolchain.compress.distill.graph import edges
from toolchain.compress.distill.relation import angles, correlations, distances, similarities

RELATIONS = ["rkd", "sp", "cc", "irg"]
#: A right triangle with legs 3 and 4.
TRIANGLE = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])


def test_distances_in_units_of_their_mean():
    wanted = torch.tensor([[0.0, 3.0, 4.0], [3.0, 0.0, 5.0], [4.0, 5.0, 0.0]]) / 4
    assert torch.allclose(distances(TRIANGLE), wanted)


def test_angles_of_a_right_triangle():
    found = angles(TRIANGLE)
    assert found[0, 1, 2] == pytest.approx(0, abs=1e-6)
    assert found[1, 0, 2] == pytest.approx(3 / 5) and found[2, 0, 1] == pytest.approx(4 / 5)


def test_rkd_by_hand(build, seen):
    line = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    apart = [(3 / 4, 3 / 4), (1, 1.5), (5 / 4, 3 / 4)]
    huber = [0.5 * (a - b) ** 2 for a, b in apart]
    bent = [0.5 * (0 - 1) ** 2, 0.5 * (3 / 5 + 1) ** 2, 0.5 * (4 / 5 - 1) ** 2]
    bent[1] = 1.6 - 0.5  # beyond 1 the loss is linear
    wanted = 25 * sum(huber) / 3 + 50 * sum(bent) / 3
    found = build("rkd", [line], [TRIANGLE])(seen(None, line), seen(None, TRIANGLE), None)
    assert found.item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("name", ["rkd", "irg"])
def test_neither_scale_nor_place_nor_turn_of_the_embeddings_matters(build, seen, draw, name):
    x = draw(6, 5)
    turned = x @ torch.linalg.qr(draw(5, 5, seed=1))[0] * 3 + 2
    term = build(name, [x], [x])
    output = draw(6, 4)
    assert term(seen(output, turned), seen(output, x), None) < 1e-8
    assert term(seen(output, draw(6, 5, seed=2)), seen(output, x), None) > 0.1


def test_similarities_are_rows_of_length_one():
    wanted = torch.tensor([[1.0, 1.0], [1.0, 2.0]]) / torch.tensor([[2.0], [5.0]]).sqrt()
    assert torch.allclose(similarities(torch.tensor([[1.0, 0.0], [1.0, 1.0]])), wanted)


def test_sp_by_hand(build, seen):
    student, teacher = torch.tensor([[[1.0]], [[1.0]]]), torch.tensor([[[1.0], [0.0]], [[0.0], [1.0]]])
    half = 1 / math.sqrt(2)
    wanted = (2 * (1 - half) ** 2 + 2 * half**2) / 4
    term = build("sp", [student], [teacher])
    assert term(seen(None, student), seen(None, teacher), None).item() == pytest.approx(wanted)


def test_correlations_are_a_taylor_series_of_the_gaussian_kernel(draw):
    x = draw(5, 3)
    unit = x / x.norm(dim=1, keepdim=True)
    exact = torch.exp(-0.4 * ((unit[:, None] - unit[None]) ** 2).sum(2))
    assert torch.allclose(correlations(x, order=12), exact, atol=1e-6)
    assert (correlations(x) - exact).abs().max() < 0.06
    dot = (unit[0] @ unit[1]).item()
    wanted = math.exp(-0.8) * (1 + 0.8 * dot + 0.32 * dot**2)
    assert correlations(x)[0, 1].item() == pytest.approx(wanted, rel=1e-5)


def test_cc_is_the_mean_squared_difference(build, seen, draw):
    s, t = draw(4, 3), draw(4, 7, seed=1)
    wanted = ((correlations(s) - correlations(t)) ** 2).mean()
    assert torch.allclose(build("cc", [s], [t])(seen(None, s), seen(None, t), None), wanted)


def test_irg_by_hand(build, seen):
    line = torch.tensor([[0.0], [1.0], [2.0]])
    squares = torch.tensor([[0.0, 9.0, 16.0], [9.0, 0.0, 25.0], [16.0, 25.0, 0.0]]) / (50 / 3)
    flat = torch.tensor([[0.0, 1.0, 4.0], [1.0, 0.0, 1.0], [4.0, 1.0, 0.0]]) / 2
    assert torch.allclose(edges(TRIANGLE), squares) and torch.allclose(edges(line), flat)
    wrong = ((squares - flat) ** 2).mean()
    logits = torch.zeros(3, 4)
    term = build("irg", [TRIANGLE, line], [TRIANGLE, TRIANGLE])
    found = term(seen(logits + 2, TRIANGLE, line), seen(logits, TRIANGLE, TRIANGLE), None)
    assert found.item() == pytest.approx((wrong + wrong + 4).item()), "edges, how they change, and vertices"
    alike = seen(logits, line, TRIANGLE), seen(logits, TRIANGLE, line)
    assert term(*alike, None).item() == pytest.approx((6 * wrong).item()), "1 for each layer, 2^2 for the change"


@pytest.mark.parametrize("name", RELATIONS)
def test_samples_that_coincide_give_finite_gradients(build, seen, name):
    student, teacher = torch.ones(4, 3, 2, 2, requires_grad=True), torch.ones(4, 5, 2, 2)
    output = torch.zeros(4, 4)
    loss = build(name, [student], [teacher])(seen(output, student), seen(output, teacher), None)
    loss.backward()
    assert bool(torch.isfinite(loss)) and bool(torch.isfinite(student.grad).all())


@pytest.mark.parametrize("name", RELATIONS)
def test_batches_of_one_and_two_are_not_too_small(build, seen, draw, name):
    for count in (1, 2):
        student, teacher = draw(count, 3), draw(count, 3, seed=1)
        loss = build(name, [student], [teacher])(seen(teacher, student), seen(teacher, teacher), None)
        assert bool(torch.isfinite(loss))
