"""Batches from arrays on the processor, and from samples that wait on a device, are the same batches."""

import dataclasses

import numpy as np
import pytest
import torch

from toolchain.frontend import DataSpec, InputSpec, TrainSpec
from toolchain.frontend.data import load_data
from toolchain.frontend.train.feed import ArrayFeed, ResidentFeed, open_feed

PLAIN = TrainSpec(epochs=1, batch=8, precision="fp32")


@pytest.fixture
def images(tmp_path):
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (20, 3, 24, 28), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", x=x, y=np.arange(20) % 2)

    def load(layout):
        shape = (1, 3, 24, 28) if layout == "NCHW" else (1, 24, 28, 3)
        spec = InputSpec(shape, layout, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
        return load_data(DataSpec(f"npz:{tmp_path / 'images.npz'}"), spec).train

    return load


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("augment", [False, True])
def test_both_feeds_give_the_same_values_from_the_same_random_numbers(images, layout, augment):
    data, spec = images(layout), dataclasses.replace(PLAIN, augment=augment)
    indices = np.array([3, 0, 7, 11])
    one = ArrayFeed(data, spec).batch(indices, np.random.default_rng(5))
    other = ResidentFeed(data, spec, "cpu").batch(indices, np.random.default_rng(5))
    assert one.x.shape == other.x.shape
    torch.testing.assert_close(other.x, one.x, rtol=0, atol=1e-6)
    assert torch.equal(one.labels, other.labels)
    if augment:
        assert not torch.allclose(one.x, ArrayFeed(data, PLAIN).batch(indices, np.random.default_rng(5)).x)


def test_vectors_wait_on_the_device_too(blobs):
    indices = np.array([1, 5])
    one, other = (
        kind.batch(indices, np.random.default_rng(0))
        for kind in (ArrayFeed(blobs.train, PLAIN), ResidentFeed(blobs.train, PLAIN, "cpu"))
    )
    torch.testing.assert_close(other.x, one.x, rtol=0, atol=1e-6)


def test_axes_without_a_meaning_stay_where_they_are(tmp_path):
    x = np.random.default_rng(0).standard_normal((12, 3, 4, 5)).astype(np.float32)
    np.savez(tmp_path / "cubes.npz", x=x, y=np.arange(12) % 2)
    data = load_data(DataSpec(f"npz:{tmp_path / 'cubes.npz'}"), InputSpec((1, 3, 4, 5), "")).train
    one, other = (
        kind.batch(np.array([2, 0]), np.random.default_rng(0)).x
        for kind in (ArrayFeed(data, PLAIN), ResidentFeed(data, PLAIN, "cpu"))
    )
    torch.testing.assert_close(other, one, rtol=0, atol=1e-6)


def test_the_processor_reads_arrays_and_a_device_keeps_them(blobs):
    assert isinstance(open_feed(blobs.train, PLAIN, "cpu"), ArrayFeed)
    assert isinstance(open_feed(blobs.train, PLAIN, "meta"), ResidentFeed)
