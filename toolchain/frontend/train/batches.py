"""Which samples a step sees, and how images are varied. Numpy only, each epoch from its own random state."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from profiles.errors import ConfigError
from profiles.runner import Array
from toolchain.frontend.data import Splits

#: Images are shifted by up to this many pixels.
SHIFT = 4
#: Smallest side, in pixels, of images that may be shifted and mirrored.
SMALLEST = 24


def epoch_random(seed: int, epoch: int) -> np.random.Generator:
    """The random numbers of one epoch; they depend on nothing that happened before."""
    return np.random.default_rng([seed % 2**32, epoch])


def steps(samples: int, batch: int) -> int:
    """Steps in one epoch."""
    return -(-samples // batch)


def epoch_batches(samples: int, batch: int, generator: np.random.Generator) -> list[Array]:
    """A random order of all samples, cut into :func:`steps` parts whose sizes differ by at most one."""
    return np.array_split(generator.permutation(samples), steps(samples, batch))


def check_augmentable(data: Splits) -> None:
    """Refuse to shift and mirror what would mean something else afterwards.

    Raises:
        ConfigError: not images, images below 24 pixels, or images whose meaning is not mirrored (digits).
    """
    spec = data.train.spec
    if not data.mirrored:
        raise ConfigError("augmentation mirrors images, which changes what these mean", seen=data.source)
    if not spec.is_image or min(spec.height_width) < SMALLEST:
        raise ConfigError(
            "augmentation is for images of at least 24 pixels", seen=f"{spec.shape} ({spec.layout or 'no layout'})"
        )


def augment(raw: Array, layout: str, generator: np.random.Generator) -> Array:
    """Shift each image by up to 4 pixels (black comes in) and mirror half of them left to right.

    As in He et al. 2016 (arXiv:1512.03385, section 4.2): 4 pixels of padding on each side, a random
    crop, and a random horizontal flip.

    Args:
        raw: (samples, C, H, W) or (samples, H, W, C), by ``layout``.
        layout: ``NCHW`` or ``NHWC``.
        generator: draws the shifts and flips.

    Returns:
        A new array of the same shape and type.
    """
    images = raw if layout == "NCHW" else np.moveaxis(raw, 3, 1)
    height, width = images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)))
    windows = sliding_window_view(padded, (height, width), axis=(2, 3))
    down, right, mirror = draw_moves(len(raw), generator)
    moved = windows[np.arange(len(raw)), :, down, right]
    moved[mirror] = moved[mirror, :, :, ::-1]
    return np.ascontiguousarray(moved if layout == "NCHW" else np.moveaxis(moved, 1, 3))


def draw_moves(count: int, generator: np.random.Generator) -> tuple[Array, Array, Array]:
    """How each of ``count`` images is moved: rows and columns of the crop's corner, and whether it is mirrored."""
    down, right = generator.integers(0, 2 * SHIFT + 1, (2, count))
    return down, right, generator.random(count) < 0.5
