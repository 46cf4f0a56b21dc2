"""Contrastive distillation: the loss in closed form, and what the memory keeps."""

import math

import numpy as np
import pytest
import torch

from profiles.errors import DataError
from toolchain.compress.distill.contrast import noise_contrast

EVERY = torch.ones(1, 2, dtype=torch.bool)


def test_the_loss_in_closed_form():
    positive, negative = torch.tensor([math.log(4.0)]), torch.log(torch.tensor([[2.0, 6.0]]))
    h = [e / (e + 2 * 3) for e in (4, 2, 6)]  # M = 2 negatives, Z = 3
    wanted = -math.log(h[0]) - math.log(1 - h[1]) - math.log(1 - h[2])
    assert noise_contrast(positive, negative, EVERY, math.log(6.0)).item() == pytest.approx(wanted, rel=1e-6)


def test_negatives_of_the_own_class_do_not_count():
    positive, negative = torch.tensor([1.0]), torch.tensor([[2.0, 90.0]])
    valid = torch.tensor([[True, False]])
    found = noise_contrast(positive, negative, valid, 0.0)
    twice = noise_contrast(positive, torch.tensor([[2.0, 2.0]]), EVERY, 0.0)
    assert torch.allclose(found, twice), "those that count stand for all"


def make(build, draw, labels=None, samples=12):
    features = draw(4, 3, 2, 2), draw(4, 5, 2, 2, seed=1)
    torch.manual_seed(0)
    return build("crd", [features[0]], [features[1]], samples=samples, labels=labels), features


def test_the_memory_moves_towards_what_was_seen(build, seen, batch, draw):
    term, (s, t) = make(build, draw)
    before = term.memories.clone()
    term(seen(None, s), seen(None, t), batch(count=4))
    with torch.no_grad():
        vectors = [torch.nn.functional.normalize(to(x.mean((2, 3)))) for to, x in zip(term.maps, (s, t), strict=True)]
    for old, new, seen_now in zip(before, term.memories, vectors, strict=True):
        wanted = torch.nn.functional.normalize(0.5 * old[:4] + 0.5 * seen_now)
        assert torch.allclose(new[:4], wanted, atol=1e-6)
        assert torch.equal(new[4:], old[4:]), "samples that were not in the batch stay"


def test_nothing_is_remembered_outside_training(build, seen, batch, draw):
    term, (s, t) = make(build, draw)
    before = term.memories.clone()
    term.eval()(seen(None, s), seen(None, t), batch(count=4))
    assert torch.equal(term.memories, before)


def test_the_noise_level_is_estimated_once_and_kept_in_checkpoints(build, seen, batch, draw):
    term, (s, t) = make(build, draw, labels=np.arange(12) % 3)
    term(seen(None, s), seen(None, t), batch(count=4))
    first = term.log_z.clone()
    assert bool(term.known) and bool(torch.isfinite(first).all()) and bool((first != 0).all())
    term(seen(None, s * 3 + 1), seen(None, t), batch(count=4))
    assert torch.equal(term.log_z, first)
    assert {"memories", "log_z", "known"} <= set(term.state_dict())
    assert "group" not in term.state_dict(), "labels come from the data"


def test_the_noise_level_is_the_mean_over_negatives_of_other_classes(build, batch, seen, draw):
    labels = np.arange(12) % 3
    term, (s, t) = make(build, draw, labels=labels)
    memories = term.memories.clone()
    torch.manual_seed(5)
    drawn = torch.randint(12, (term.negatives,))
    torch.manual_seed(5)
    term(seen(None, s), seen(None, t), batch(count=4))
    vector = torch.nn.functional.normalize(term.maps[0](s.mean((2, 3))))
    scores = [
        math.exp((vector[n] @ memories[1][k]).item() / 0.07) for n in range(4) for k in drawn if labels[n] != labels[k]
    ]
    assert term.log_z[0].item() == pytest.approx(math.log(sum(scores) / len(scores)), rel=1e-4)


def test_it_needs_samples(build, draw):
    with pytest.raises(DataError):
        make(build, draw, samples=1)
