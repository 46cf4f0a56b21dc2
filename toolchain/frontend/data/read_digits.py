"""The digits images that come inside scikit-learn: 1797 real handwritten digits of 8x8 pixels, no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from profiles.runner import Array
from toolchain.frontend.data.images import image_mode, pillow
from toolchain.frontend.data.sources import Raw
from toolchain.frontend.data.stores import ArrayStore, ImageStore, Store
from toolchain.frontend.require import install_extra, require
from toolchain.frontend.specs import DataSpec, InputSpec


def load_pixels() -> tuple[Array, Array]:
    """Pixels (1797, 8, 8) as uint8, stretched from 0..16 to 0..255, and labels 0..9.

    Source: scikit-learn's ``load_digits``, from the UCI data set "Optical Recognition of Handwritten
    Digits" (Alpaydin & Kaynak 1998).
    """
    datasets = require("sklearn.datasets", "for the digits data", install_extra("frontend"))
    digits = datasets.load_digits()
    return np.round(digits.images * (255 / 16)).astype(np.uint8), digits.target


def read(path: Path, data: DataSpec, spec: InputSpec) -> Raw:
    """Images resized to the model's input; or, for a model of 64 features, the pixels themselves."""
    pixels, labels = load_pixels()
    return Raw(
        store=_store(pixels, spec),
        content=lambda row: pixels[row].tobytes(),
        labels=labels.tolist(),
        mirrored=False,
    )


def _store(pixels: Array, spec: InputSpec) -> Store:
    if spec.sample_shape == (64,):
        return ArrayStore(pixels.reshape(-1, 64), _name)
    image_mode(spec)
    return ImageStore(len(pixels), lambda row: pillow().fromarray(pixels[row]), _name, spec)


def _name(row: int) -> str:
    return f"digits sample {row}"
