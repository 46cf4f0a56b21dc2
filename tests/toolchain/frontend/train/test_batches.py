import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import ConfigError
from toolchain.frontend import DataSpec, InputSpec
from toolchain.frontend.data import load_data
from toolchain.frontend.train.batches import SHIFT, augment, check_augmentable, epoch_batches, epoch_random, steps


@given(st.integers(1, 300), st.integers(2, 64), st.integers(0, 5))
def test_an_epoch_shows_every_sample_once_in_even_batches(samples, batch, epoch):
    batches = epoch_batches(samples, batch, epoch_random(0, epoch))
    assert len(batches) == steps(samples, batch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(samples))
    sizes = {len(part) for part in batches}
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1, f"batch normalisation fails on a last batch of one sample: {sizes}"


def test_epochs_and_seeds_differ_and_repeat():
    orders = {(s, e): tuple(np.concatenate(epoch_batches(50, 8, epoch_random(s, e)))) for s in (0, 1) for e in (0, 1)}
    assert len(set(orders.values())) == 4
    assert orders[1, 1] == tuple(np.concatenate(epoch_batches(50, 8, epoch_random(1, 1))))
    epoch_random(-1, 0)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_every_augmented_image_is_a_shifted_and_perhaps_mirrored_original(layout):
    images = np.random.default_rng(0).integers(1, 256, (40, 3, 9, 11), np.uint8)
    raw = images if layout == "NCHW" else images.transpose(0, 2, 3, 1)
    seen = augment(raw, layout, epoch_random(0, 0))
    assert (seen.shape, seen.dtype) == (raw.shape, raw.dtype)
    seen = seen if layout == "NCHW" else seen.transpose(0, 3, 1, 2)
    found = [shift_of(original, result) for original, result in zip(images, seen, strict=True)]
    assert len(set(found)) > 20, f"shifts should differ: {found}"
    assert {mirror for _, _, mirror in found} == {False, True}


def shift_of(original, result):
    """Brute force: which shift and mirroring turn one into the other."""
    _, height, width = original.shape
    padded = np.pad(original, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)))
    for down in range(2 * SHIFT + 1):
        for right in range(2 * SHIFT + 1):
            window = padded[:, down : down + height, right : right + width]
            for mirror in (False, True):
                if np.array_equal(window[:, :, ::-1] if mirror else window, result):
                    return down, right, mirror
    raise AssertionError("the image is no shifted or mirrored original")


@pytest.mark.parametrize(
    ("data", "shape", "words"),
    [("digits", (1, 1, 28, 28), "mirrors"), ("random", (1, 3, 23, 40), "24 pixels")],
)
def test_what_must_not_be_augmented(data, shape, words):
    with pytest.raises(ConfigError, match=words):
        check_augmentable(load_data(DataSpec(data), InputSpec(shape)))


def test_features_are_no_images(blobs):
    with pytest.raises(ConfigError, match="24 pixels"):
        check_augmentable(blobs)
