"""Arrays in a ``.npz`` file: ``x`` and ``y``, optionally ``x_test`` and ``y_test``."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from profiles.errors import DataError
from profiles.runner import Array
from toolchain.frontend.data.sources import Raw
from toolchain.frontend.data.stores import ArrayStore, check_finite
from toolchain.frontend.specs import DataSpec, InputSpec

ARRAYS = "x (samples, …), y (samples,), and optionally x_test and y_test"


def read(path: Path, data: DataSpec, spec: InputSpec) -> Raw:
    """Samples as they are: the shape must be the model's, or the same with the channel axis elsewhere or left out.

    ``y`` may be missing for models that need no labels. uint8 stays uint8, all other numbers become float32.
    """
    arrays = _load(path)
    x, y = _pair(arrays, "x", "y", path, spec)
    if "x_test" not in arrays:
        return _raw(x, y, None, path, arrays["x"])
    x_test, y_test = _pair(arrays, "x_test", "y_test", path, spec)
    if (y is None) != (y_test is None) or x.dtype != x_test.dtype:
        raise DataError(
            "x and x_test must have the same type, and both labels or neither",
            seen=str(path),
            next_step="write the file again with np.savez",
        )
    test = np.arange(len(x) + len(x_test)) >= len(x)
    labels = None if y is None or y_test is None else [*y, *y_test]
    return _raw(np.concatenate([x, x_test]), labels, test, path, arrays["x"], arrays["x_test"])


def _raw(values: Array, labels: list[object] | None, test: Array | None, path: Path, *stored: Array) -> Raw:
    """``stored`` are the arrays of the file: their bytes say what a sample is, whatever layout the model takes."""
    split = len(stored[0])

    def content(row: int) -> bytes:
        return bytes((stored[0][row] if row < split else stored[1][row - split]).tobytes())

    def name(row: int) -> str:
        return f"x[{row}] of {path.name}" if row < split else f"x_test[{row - split}] of {path.name}"

    check_finite(values, name)
    return Raw(ArrayStore(values, name), content, labels, test=test)


def _load(path: Path) -> dict[str, Array]:
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise DataError(
                "the data must be a .npz archive",
                seen=f"{path} is a single array",
                allowed=ARRAYS,
                next_step="write it with np.savez(FILE, x=..., y=...)",
            )
        with file:
            return {key: file[key] for key in ("x", "y", "x_test", "y_test") if key in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            "the .npz file cannot be read",
            seen=f"{path}: {error}",
            allowed=ARRAYS,
            next_step="write or copy the file again",
        ) from error


def _pair(
    arrays: dict[str, Array], x_key: str, y_key: str, path: Path, spec: InputSpec
) -> tuple[Array, list[object] | None]:
    if x_key not in arrays:
        raise DataError(
            f"the .npz file has no array '{x_key}'",
            seen=f"{path}: {sorted(arrays)}",
            allowed=ARRAYS,
            next_step="write it with np.savez(FILE, x=..., y=...)",
        )
    x, y = _conform(arrays[x_key], spec, f"{x_key} of {path}"), arrays.get(y_key)
    if y is not None and y.shape != (len(x),):
        raise DataError(
            f"{y_key} needs one label per sample",
            seen=str(y.shape),
            allowed=str((len(x),)),
            next_step="write the file again with np.savez",
        )
    return x, None if y is None else y.tolist()


def _conform(x: Array, spec: InputSpec, where: str) -> Array:
    if not (np.issubdtype(x.dtype, np.number) or x.dtype == np.bool_) or np.issubdtype(x.dtype, np.complexfloating):
        raise DataError(
            "samples must be real numbers", seen=f"{where} has dtype {x.dtype}", next_step="convert them to numbers"
        )
    for candidate in _arrangements(x, spec):
        if candidate.shape[1:] == spec.sample_shape:
            with np.errstate(over="ignore"):  # what overflows becomes infinite, and is refused as such
                return np.ascontiguousarray(candidate, np.uint8 if x.dtype == np.uint8 else np.float32)
    raise DataError(
        "samples must have the shape of the model's input",
        seen=f"{where}: {x.shape[1:]}",
        allowed=f"{spec.sample_shape} ({spec.layout or 'as the model takes it'})",
        next_step="resize the samples, or give the model another input shape",
    )


def _arrangements(x: Array, spec: InputSpec) -> list[Array]:
    """The array as it is, then with the channel axis moved or added, as far as the layout allows."""
    found = [x]
    if spec.is_image and x.ndim == 4:
        found.append(np.moveaxis(x, 3, 1) if spec.layout == "NCHW" else np.moveaxis(x, 1, 3))
    if spec.is_image and x.ndim == 3 and spec.channels == 1:
        found.append(np.expand_dims(x, 1 if spec.layout == "NCHW" else 3))
    return found
