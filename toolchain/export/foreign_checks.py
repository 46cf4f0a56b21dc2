"""Checks that ONNX and TFLite files from elsewhere share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from profiles.errors import ConfigError, ModelError
from profiles.runner import Array


def check_file(path: Path, kind: str) -> None:
    """Check that there is a file with something in it.

    Raises:
        ConfigError: no such file, or a folder.
        ModelError: an empty file.
    """
    if not path.is_file():
        raise ConfigError(
            f"wanted the {kind} model {path}",
            seen="a folder" if path.is_dir() else "no such file",
            next_step="check the path",
        )
    if path.stat().st_size == 0:
        raise ModelError(f"wanted a sound {kind} model in {path.name}", seen="an empty file")


def check_finite(name: str, values: Array, file: str) -> None:
    """Check that a weight has no NaN and no infinity.

    Two uses of infinity are allowed: a single number (the start of a maximum, an open clip), and an
    additive mask, which holds only 0 and -infinity.

    Raises:
        ModelError: naming the tensor.
    """
    if not np.issubdtype(values.dtype, np.floating) or np.isfinite(values).all():
        return
    nans, infinities = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    mask = bool(np.all((values == 0) | np.isneginf(values)))
    if not nans and (values.size == 1 or mask):
        return
    raise ModelError(
        f"wanted finite weights in {file}",
        seen=f"the tensor '{name}' has {nans} NaN and {infinities} infinite values out of {values.size}",
        next_step="train again from a checkpoint before the loss became NaN, or export the model again",
    )


def refuse_dynamic(file: str, shapes: Mapping[str, tuple[int | str, ...] | None]) -> ConfigError:
    """The error for inputs whose shapes are not fixed, with the options that would fix them.

    Args:
        file: the model's name.
        shapes: input name to declared shape, with names for the dynamic axes; None where even the
            rank is unknown.
    """
    return ConfigError(
        f"wanted fixed input shapes in {file}",
        seen="; ".join(_axes(name, shape) for name, shape in shapes.items()),
        allowed="fixed sizes on every axis: bundles are compiled and measured for one shape",
        next_step="give the sizes, for example: " + " ".join(_option(name, shape) for name, shape in shapes.items()),
    )


def _axes(name: str, shape: tuple[int | str, ...] | None) -> str:
    if shape is None:
        return f"input '{name}' has no declared shape"
    axes = [f"{i} ({size})" if size != "?" else str(i) for i, size in enumerate(shape) if isinstance(size, str)]
    return f"input '{name}' has the dynamic {'axis' if len(axes) == 1 else 'axes'} {', '.join(axes)}"


def _option(name: str, shape: tuple[int | str, ...] | None) -> str:
    if shape is None:
        return f"--input {name}=1x3x224x224"
    return f"--input {name}=" + "x".join(str(_example(axis, size, shape)) for axis, size in enumerate(shape))


def _example(axis: int, size: int | str, shape: tuple[int | str, ...]) -> int:
    """A likely size for an axis that the file leaves open: 1 for the batch, 3 channels, 320 pixels, 128 steps."""
    if isinstance(size, int):
        return size
    if axis == 0:
        return 1
    if len(shape) != 4:
        return 128
    last = isinstance(shape[3], int) and shape[3] <= 4
    return 3 if axis == (3 if last else 1) else 320


def guess_layout(shape: tuple[int, ...], images: str) -> str:
    """``images`` for rank 4, NC for rank 2, empty where axes have no agreed meaning."""
    return {4: images, 2: "NC"}.get(len(shape), "")
