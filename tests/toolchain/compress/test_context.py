"""What steps may use: batches, training, scores."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest

from profiles.errors import DataError
from toolchain.compress import Context
from toolchain.compress.context import Feeds
from toolchain.frontend.specs import TrainSpec
from toolchain.frontend.train import feed

torch = pytest.importorskip("torch", reason="compression works on torch modules")


@pytest.fixture
def around(blobs):
    return Context(
        inputs={"x": np.ones((1, 4), np.float32)}, data=blobs, training=TrainSpec(batch=16, precision="fp32")
    )


def test_batches_are_drawn_by_the_seed(around):
    first, again = (list(around.batches("a test", 2, 8)) for _ in range(2))
    assert all(np.array_equal(a.indices, b.indices) for a, b in zip(first, again, strict=True))
    assert not set(first[0].indices) & set(first[1].indices), "48 samples are enough for two batches of 8"
    other = next(dataclasses.replace(around, seed=1).batches("a test", 1, 8))
    assert not np.array_equal(other.indices, first[0].indices)
    assert torch.equal(first[0].x, torch.from_numpy(around.data.train.batch(first[0].indices)))


def test_samples_are_uploaded_once(around, monkeypatch):
    """Contexts that were made from each other share the feed; other samples or another device have their own."""
    opened = []

    def open_feed(data, spec, device):
        assert not spec.augment
        opened.append((data, device))
        return feed.ArrayFeed(data, spec)

    monkeypatch.setattr(feed, "open_feed", open_feed)
    for one in (around, dataclasses.replace(around, seed=1), around):
        list(one.batches("a test", 2, 8))
    assert len(opened) == 1
    list(dataclasses.replace(around, data=dataclasses.replace(around.data, train=around.data.test)).batches("x", 1, 8))
    list(around.batches("a test", 1, 8))
    list(dataclasses.replace(around, device="other").batches("a test", 1, 8))
    assert [device for _, device in opened] == ["cpu"] * 3 + ["other"]


def test_the_remembered_samples_are_no_part_of_a_context(around):
    same = dataclasses.replace(around, feeds=Feeds())
    list(around.batches("a test", 1, 8))
    assert same == around and "feeds" not in repr(around)
    for copied in (copy.deepcopy(around.feeds), pickle.loads(pickle.dumps(around.feeds))):
        assert copied._opened is None, "samples are not carried along"


def test_more_samples_than_there_are(around):
    (batch,) = around.batches("a test", 1, 1000)
    assert sorted(batch.indices) == list(range(48))


def test_accuracy_on_the_first_samples_of_either_part(around):
    """A model that always says class 1 is right on the share of that class."""

    class One(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.one_hot(torch.ones(len(x), dtype=torch.int64), 3).float()

    data = around.data
    assert around.accuracy(One()) == np.mean(data.test.labels == 1)
    assert around.accuracy(One(), samples=5) == np.mean(data.test.labels[:5] == 1)
    assert around.accuracy(One(), samples=7, training=True) == np.mean(data.train.labels[:7] == 1)
    assert around.accuracy(One(), samples=10_000, training=True) == np.mean(data.train.labels == 1)


def test_no_epochs_change_nothing(around):
    model = torch.nn.Linear(4, 3)
    before = model.weight.clone()
    assert around.fit(model, "a test", epochs=0) == [] and torch.equal(model.weight, before)


def test_every_training_has_a_checkpoint_of_its_own(around, tmp_path):
    """Two rounds of one method in one folder; the second run takes both from there."""
    work = dataclasses.replace(around, work=tmp_path / "work")

    def two_rounds():
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 3)
        losses = [work.fit(model, "round", epochs=2, lr=0.1), work.fit(model, "round", epochs=2, lr=0.1)]
        return model, losses

    model, losses = two_rounds()
    files = sorted(work.work.iterdir())
    stamps = [path.stat().st_mtime_ns for path in files]
    again, same = two_rounds()
    assert len(files) == 2 and same == losses and torch.equal(model.weight, again.weight)
    assert [path.stat().st_mtime_ns for path in sorted(work.work.iterdir())] == stamps, "nothing was trained again"
    plain = torch.nn.Linear(4, 3)
    plain.load_state_dict(model.state_dict())
    work.fit(plain, "round", epochs=2, lr=0.2)
    assert len(list(work.work.iterdir())) == 3


def test_labels_that_are_not_there(around):
    bare = dataclasses.replace(around.data, train=dataclasses.replace(around.data.train, labels=None))
    with pytest.raises(DataError, match="the method 'taylor' needs labels"):
        dataclasses.replace(around, data=bare).samples("the method 'taylor'", labels=True)
