"""Losses on paired layers against brute force."""

import pytest
import torch
from torch.nn import functional

from profiles.errors import ModelError
from toolchain.compress.distill.distribution import Guess, polynomial_mmd
from toolchain.compress.distill.feature import attention_map, boundary_loss
from toolchain.compress.distill.flow import flow_matrix
from toolchain.compress.distill.maps import Projection, embedding, resize, same_size

FEATURES = ["fitnets", "attention", "nst", "ab", "vid", "fsp", "svd_ss"]
MAPS = ["attention", "nst", "fsp", "svd_ss"]


def test_a_projection_is_a_1x1_convolution(draw):
    project = Projection(3, 5)
    x = draw(2, 3, 4, 6)
    weight, bias = project.linear.weight[:, :, None, None], project.linear.bias
    assert torch.allclose(project(x), functional.conv2d(x, weight, bias), atol=1e-6)


def test_maps_of_two_sizes_meet_at_the_smaller_one(draw):
    small, large = draw(2, 3, 2, 4), draw(2, 5, 4, 4)
    a, b = same_size(small, large)
    assert torch.equal(a, small) and torch.allclose(b, (large[:, :, ::2] + large[:, :, 1::2]) / 2)
    assert resize(draw(1, 2, 5), (2,)).shape == (1, 2, 2)
    assert torch.allclose(embedding(large), large.mean((2, 3)))


def test_hints_compare_through_the_regressor(build, seen, draw):
    student, teacher = [draw(2, 3, 4, 4)] * 3, [draw(2, 5, 4, 4, seed=i) for i in range(3)]
    term = build("fitnets", student, teacher)
    wanted = ((term.regressors[0](student[1]) - teacher[1]) ** 2).mean()
    assert torch.allclose(term(seen(None, *student), seen(None, *teacher), None), wanted), "the pair in the middle"
    assert len(build("fitnets", student, teacher, layers={"s": "t"}).regressors) == 3, "all that the user named"


def test_attention_looks_at_where_not_at_how_much(draw):
    x = draw(4, 6, 3, 3)
    q = attention_map(x)
    by_hand = (x**2).sum(1).reshape(4, 9)
    assert torch.allclose(q, by_hand / by_hand.norm(dim=1, keepdim=True))
    assert torch.allclose(attention_map(x * 3), q, atol=1e-6) and torch.allclose(attention_map(-x.flip(1)), q)


def test_attention_sums_over_the_pairs(build, seen, draw):
    student, teacher = ([draw(2, 3, 4, 4, seed=s), draw(2, 4, 2, 2, seed=s + 1)] for s in (0, 5))
    wanted = sum(((attention_map(a) - attention_map(b)) ** 2).mean() for a, b in zip(student, teacher, strict=True))
    found = build("attention", student, teacher)(seen(None, *student), seen(None, *teacher), None)
    assert torch.allclose(found, wanted)


def test_selectivity_is_the_mean_discrepancy_over_all_channels(draw):
    s, t = draw(2, 3, 5), draw(2, 4, 5, seed=1)
    s_unit, t_unit = (x / x.norm(dim=2, keepdim=True) for x in (s, t))

    def mean_kernel(a, b):
        return sum((x @ y) ** 2 for x in a for y in b) / (len(a) * len(b))

    wanted = sum(
        mean_kernel(b, b) + mean_kernel(a, a) - 2 * mean_kernel(a, b) for a, b in zip(s_unit, t_unit, strict=True)
    )
    assert torch.allclose(polynomial_mmd(s, t), wanted / 2, atol=1e-6)
    assert polynomial_mmd(t * 2, t.flip(1)).abs() < 1e-6, "the order and the scale of channels do not matter"


def test_boundaries_push_to_the_teachers_side_and_no_further():
    active = torch.tensor([True, True, False, False])
    assert boundary_loss(torch.tensor([1.0, 5.0, -1.0, -7.0]), active) == 0
    assert boundary_loss(torch.tensor([0.0, -1.0, 0.0, 2.0]), active) == (1 + 4 + 1 + 9) / 4


def test_boundaries_compare_the_regressed_student_with_the_signs_of_the_teacher(build, seen, draw):
    student, teacher = draw(2, 3, 4), draw(2, 5, 4, seed=1)
    term = build("ab", [student], [teacher])
    wanted = boundary_loss(term.regressors[0](student), teacher > 0)
    assert torch.equal(term(seen(None, student), seen(None, teacher.relu()), None), wanted)


def test_information_is_the_likelihood_of_a_gaussian(draw):
    guess = Guess(3, 5)
    assert torch.allclose(guess.variance, torch.full((5,), 5.0), atol=1e-5)
    with torch.no_grad():
        guess.raw.copy_(draw(5, seed=3))
    student, teacher = draw(4, 3, 2, 2), draw(4, 5, 2, 2, seed=1)
    variance = guess.variance[None, :, None, None].expand(4, 5, 2, 2)
    wanted = functional.gaussian_nll_loss(guess.mean(student), teacher, variance)
    assert torch.allclose(guess(student, teacher), wanted)
    guess(student, teacher).backward()
    assert guess.raw.grad is not None and guess.raw.grad.abs().sum() > 0, "variances are learned"


def test_flow_is_the_mean_outer_product_of_channels(draw):
    a, b = draw(2, 3, 4, 4), draw(2, 5, 2, 2, seed=1)
    pooled = a.reshape(2, 3, 2, 2, 2, 2).mean((3, 5))
    wanted = torch.einsum("nihw,njhw->nij", pooled, b) / 4
    assert torch.allclose(flow_matrix(a, b), wanted, atol=1e-6)


def test_flow_compares_neighbouring_pairs(build, seen, draw):
    student, teacher = ([draw(2, c, 4, 4, seed=s + c) for c in (3, 5, 4)] for s in (0, 9))
    term = build("fsp", student, teacher)
    assert not list(term.parameters()), "equal widths need no regressor"
    wanted = sum(
        ((flow_matrix(student[i], student[i + 1]) - flow_matrix(teacher[i], teacher[i + 1])) ** 2).mean()
        for i in (0, 1)
    )
    assert torch.allclose(term(seen(None, *student), seen(None, *teacher), None), wanted)
    narrow = [draw(2, 2, 4, 4), *student[1:]]
    assert len(list(build("fsp", narrow, teacher).parameters())) == 2, "a pruned layer is widened"


@pytest.mark.parametrize("name", FEATURES)
def test_equal_features_leave_nothing_to_learn_where_nothing_is_trained_along(build, seen, draw, name):
    features = [draw(3, 4, 4, 4), draw(3, 6, 2, 2, seed=1)]
    term = build(name, features, features)
    loss = term(seen(None, *features), seen(None, *features), None)
    if not list(term.parameters()):
        assert loss.abs() < 1e-6
    assert loss.dtype == torch.float32 and loss.ndim == 0


@pytest.mark.parametrize("name", FEATURES)
def test_half_precision_features_give_finite_losses_and_gradients(build, seen, draw, name):
    student = [draw(3, 4, 4, 4).bfloat16().requires_grad_(), draw(3, 6, 2, 2, seed=1).bfloat16().requires_grad_()]
    teacher = [draw(3, 5, 4, 4, seed=2).bfloat16(), draw(3, 6, 4, 4, seed=3).bfloat16()]
    loss = build(name, student, teacher)(seen(None, *student), seen(None, *teacher), None)
    loss.backward()
    assert loss.dtype == torch.float32 and bool(torch.isfinite(loss))
    reached = [x.grad for x in student if x.grad is not None]
    assert reached and all(bool(torch.isfinite(g).all()) for g in reached)
    assert any(g.abs().sum() > 0 for g in reached)


@pytest.mark.parametrize("name", MAPS)
def test_losses_on_maps_refuse_vectors(build, draw, name):
    with pytest.raises(ModelError, match="feature maps") as caught:
        build(name, [draw(2, 4), draw(2, 5)], [draw(2, 4), draw(2, 5)])
    assert caught.value.seen == "0 of 2 paired layers" and "layers" in caught.value.next_step


@pytest.mark.parametrize("name", FEATURES)
def test_without_pairs_nothing_on_features_works(build, name):
    with pytest.raises(ModelError, match=f"'{name}'") as caught:
        build(name)
    assert caught.value.seen == "no layers could be paired"
