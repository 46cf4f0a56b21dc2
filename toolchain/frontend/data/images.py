"""Decode one image, convert its colours, resize it, and lay it out as the model takes it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from profiles.errors import ConfigError, DataError
from profiles.runner import Array
from toolchain.frontend.require import install_extra, require
from toolchain.frontend.specs import InputSpec

if TYPE_CHECKING:
    from PIL.Image import Image

#: Pillow's modes by the number of channels that a model takes.
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
#: Modes with more than 8 bits per value, which Pillow would clip without a word.
_DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
#: What Pillow's readers raise on damaged files, beside OSError.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)


def pillow(module: str = "PIL.Image") -> ModuleType:
    """Pillow, or MissingToolError with the command that installs it."""
    return require(module, "to read images", install_extra("data"))


def image_mode(spec: InputSpec) -> str:
    """Pillow's mode for the channels of ``spec``.

    Raises:
        ConfigError: the layout is not one of images, or no mode has that many channels.
    """
    if not spec.is_image:
        raise ConfigError(
            "images need an input with the layout NCHW or NHWC",
            seen=repr(spec.layout),
            next_step='set layout = "NCHW" or "NHWC" in the input',
        )
    if spec.channels not in MODES:
        raise ConfigError(
            "images have 1, 3 or 4 channels",
            seen=f"{spec.channels} in {spec.shape} ({spec.layout})",
            next_step="check the input's shape and layout",
        )
    return MODES[spec.channels]


def decode(load: Callable[[], Image], spec: InputSpec, name: str) -> Array:
    """One image as uint8 in the model's layout, without the batch axis.

    The camera's orientation tag is applied, colours are converted to 1 (grey: ITU-R 601 luma), 3 or
    4 channels, and the image is resized (bilinear with antialiasing; the aspect ratio is not kept).

    Args:
        load: opens the image.
        spec: size, channels and layout.
        name: of the sample, for the error.

    Raises:
        DataError: the image cannot be decoded, or has more than 8 bits per channel.
    """
    try:
        image = load()
        if image.mode in _DEEP:
            raise DataError(
                "images need 8 bits per channel",
                seen=f"{name} has Pillow mode '{image.mode}'",
                next_step="convert it to 8 bits",
            )
        image = pillow("PIL.ImageOps").exif_transpose(image).convert(image_mode(spec))
    except (*_DAMAGE, pillow().DecompressionBombError) as error:
        raise DataError(
            "an image cannot be decoded", seen=f"{name}: {error}", next_step="remove or replace this file"
        ) from error
    return arrange(image, spec)


def arrange(image: Image, spec: InputSpec) -> Array:
    """Resize an image that has the right mode, and lay it out; see :func:`decode`."""
    height, width = spec.height_width
    if image.size != (width, height):
        image = image.resize((width, height), pillow().Resampling.BILINEAR)
    pixels = np.asarray(image, np.uint8).reshape(height, width, spec.channels or 1)
    return pixels.transpose(2, 0, 1) if spec.layout == "NCHW" else pixels
