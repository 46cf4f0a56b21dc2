"""Losses on outputs against closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from profiles.errors import DataError, ModelError, UnsupportedError
from toolchain.compress.distill.response import decoupled, soft_divergence, standardise
from toolchain.compress.distill.term import Setting
from toolchain.project.recipe import Distill

LABELS = np.array([0, 3, 1, 3, 2])


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_gradient_of_kd_is_the_difference_of_the_softened_probabilities(build, seen, batch, draw, temperature):
    student, teacher = draw(5, 4, dtype=torch.float64).requires_grad_(), draw(5, 4, seed=1, dtype=torch.float64)
    build("kd", temperature=temperature)(seen(student), seen(teacher), batch(count=5)).backward()
    p, q = (functional.softmax(z.detach() / temperature, 1) for z in (teacher, student))
    assert torch.allclose(student.grad, temperature * (q - p) / 5, atol=1e-7)


def test_kd_is_the_divergence_by_hand():
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]])
    p = 1 / (1 + np.exp(-1.0))
    wanted = 4 * (p * np.log(p / 0.5) + (1 - p) * np.log((1 - p) / 0.5))
    assert soft_divergence(student, teacher, 2.0).item() == pytest.approx(wanted, rel=1e-5)


def test_kd_of_outputs_that_are_no_logits_is_their_squared_error(build, seen, batch, draw):
    shapes = ((1, 4), (1, 2, 3))
    term = build("kd", task="reconstruction", outputs=shapes)
    student, teacher = ((draw(5, 4, seed=s), draw(5, 2, 3, seed=s + 1)) for s in (0, 2))
    wanted = sum(((a - b) ** 2).mean() for a, b in zip(student, teacher, strict=True)) / 2
    assert torch.allclose(term(seen(student), seen(list(teacher)), batch(count=5)), wanted)


@given(st.integers(0, 1000), st.integers(2, 6), st.floats(0.5, 8))
def test_the_decoupled_parts_make_up_the_whole_divergence(seed, classes, temperature):
    generator = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn((2, 7, classes), generator=generator, dtype=torch.float64) * 3
    labels = torch.randint(classes, (7,), generator=generator)
    tckd, nckd, p = decoupled(student, teacher, labels, temperature)
    whole = temperature**2 * (tckd + (1 - p) * nckd).mean()
    assert torch.allclose(whole, soft_divergence(student, teacher, temperature), atol=1e-10)


def test_the_parts_are_those_of_the_paper(draw):
    student, teacher, label = draw(1, 4, dtype=torch.float64), draw(1, 4, seed=1, dtype=torch.float64), 2
    p, q = (functional.softmax(z[0] / 3, 0) for z in (teacher, student))
    rest = [0, 1, 3]
    p_hat, q_hat = p[rest] / p[rest].sum(), q[rest] / q[rest].sum()
    tckd = p[label] * (p[label] / q[label]).log() + (1 - p[label]) * ((1 - p[label]) / (1 - q[label])).log()
    nckd = (p_hat * (p_hat / q_hat).log()).sum()
    found = decoupled(student, teacher, torch.tensor([label]), 3.0)
    assert torch.allclose(torch.cat(found), torch.stack([tckd, nckd, p[label]]))


def test_dkd_weighs_the_other_classes_by_eight(build, seen, batch, draw):
    student, teacher = draw(5, 4), draw(5, 4, seed=1)
    tckd, nckd, _ = decoupled(student, teacher, torch.from_numpy(LABELS), 2.0)
    found = build("dkd", labels=LABELS, temperature=2.0)(seen(student), seen(teacher), batch(LABELS))
    assert torch.allclose(found, 4 * (tckd + 8 * nckd).mean())


def test_standardised_logits_have_mean_0_and_deviation_1(draw):
    z = standardise(draw(6, 10) * 7 + 3)
    assert torch.allclose(z.mean(1), torch.zeros(6), atol=1e-6)
    assert torch.allclose(z.square().mean(1), torch.ones(6), atol=1e-5)


@pytest.mark.parametrize(("name", "loss"), [("logit_std", ("logit_std",)), ("kd", ("kd", "logit_std"))])
def test_standardised_kd_ignores_shift_and_scale(build, seen, batch, draw, name, loss):
    term = build(name, loss=loss)
    teacher = draw(5, 4)
    assert term(seen(teacher * 5 - 2), seen(teacher), batch(count=5)) < 1e-6
    student = draw(5, 4, seed=1)
    wanted = soft_divergence(standardise(student), standardise(teacher), 4.0)
    assert torch.allclose(term(seen(student), seen(teacher), batch(count=5)), wanted)
    assert term.weight == 10


def test_standardised_dkd_ignores_shift_and_scale(build, seen, batch, draw):
    term = build("dkd", loss=("dkd", "logit_std"), labels=LABELS)
    assert term(seen(draw(5, 4) * 5 - 2), seen(draw(5, 4)), batch(LABELS)).abs() < 1e-5
    plain = build("dkd", labels=LABELS)
    assert plain(seen(draw(5, 4) * 5 - 2), seen(draw(5, 4)), batch(LABELS)) > 0.1


def test_half_precision_outputs_are_compared_in_float32(build, seen, batch, draw):
    student = draw(5, 4).bfloat16().requires_grad_()
    loss = build("kd")(seen(student), seen(draw(5, 4, seed=1).bfloat16()), batch(count=5))
    loss.backward()
    assert loss.dtype == torch.float32 and student.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["dkd", "logit_std"])
def test_losses_on_logits_refuse_other_tasks(build, name):
    with pytest.raises(UnsupportedError, match="class logits") as caught:
        build(name, task="reconstruction", labels=LABELS)
    assert "'kd'" in caught.value.next_step


def test_dkd_needs_labels(build):
    with pytest.raises(DataError, match="labels"):
        build("dkd")


def test_outputs_of_other_shapes_are_refused():
    from toolchain.compress.distill.response import Kd

    with pytest.raises(ModelError, match="same shapes") as caught:
        Kd.build(Setting(Distill(), "classification", (), ((1, 10),), ((1, 5),)))
    assert "(1, 10)" in caught.value.seen and "(1, 5)" in caught.value.seen
