import numpy as np
import pytest
import torch

from profiles.errors import DataError, ModelError
from toolchain.frontend import DataSpec, InputSpec
from toolchain.frontend.data import load_data
from toolchain.frontend.train import evaluate, reconstruction_error


class FirstThree(torch.nn.Module):
    """The blobs' classes are the largest of their first three features, nearly always."""

    def forward(self, x):
        return x[:, :3]


def test_accuracy_against_a_count_by_hand(blobs):
    x, y = blobs.test.batch(np.arange(len(blobs.test))), blobs.test.labels
    expected = float((x[:, :3].argmax(axis=1) == y).mean())
    assert expected > 0.9
    for batch in (1, 7, 1000):
        assert evaluate(FirstThree(), blobs.test, batch=batch) == expected


def test_a_program_for_one_batch_size_gets_full_batches(blobs):
    exported = torch.export.export(FirstThree(), (torch.zeros(7, 8),)).module()
    assert len(blobs.test) % 7, "the last batch must be short for this test to mean anything"
    assert evaluate(exported, blobs.test) == evaluate(FirstThree(), blobs.test)


def test_progress(blobs):
    seen = []
    evaluate(FirstThree(), blobs.test, batch=16, on_progress=lambda done, total, text: seen.append((done, total)))
    assert seen == [(16, 30), (30, 30)]


def test_reconstruction_error_is_the_mean_square(blobs):
    x = blobs.test.batch(np.arange(len(blobs.test))).astype(np.float64)
    seen = reconstruction_error(torch.nn.ReLU(), blobs.test, batch=7)
    assert seen == pytest.approx(np.square(np.minimum(x, 0)).mean(), rel=1e-6)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (torch.nn.Linear(8, 2), "one value per class"),
        (torch.nn.Unflatten(1, (2, 4)), "one value per class"),
        (torch.nn.LSTM(8, 3), "one tensor"),
    ],
)
def test_outputs_that_are_no_classes(blobs, model, words):
    with pytest.raises(ModelError, match=words):
        evaluate(model, blobs.test)


def test_outputs_that_are_not_finite(blobs):
    class Nan(torch.nn.Module):
        def forward(self, x):
            return x / 0

    with pytest.raises(ModelError, match="NaN or infinity"):
        evaluate(Nan(), blobs.test)


def test_a_reconstruction_of_another_shape(blobs):
    with pytest.raises(ModelError, match="input's shape"):
        reconstruction_error(FirstThree(), blobs.test)


def test_accuracy_needs_labels():
    data = load_data(DataSpec("random"), InputSpec((1, 8), "NC"))
    with pytest.raises(DataError, match="labels"):
        evaluate(FirstThree(), data.test)
