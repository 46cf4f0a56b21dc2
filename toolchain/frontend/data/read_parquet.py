"""Parquet files with a column of encoded images and a column of labels, as hosted image data sets have them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from profiles.errors import ConfigError, DataError
from profiles.suggest import did_you_mean
from toolchain.frontend.data.images import image_mode, pillow
from toolchain.frontend.data.sources import Raw
from toolchain.frontend.data.stores import ImageStore
from toolchain.frontend.require import install_extra, require
from toolchain.frontend.specs import DataSpec, InputSpec

LABEL_NAMES = ("label", "labels", "fine_label", "class", "target", "y")


def read(path: Path, data: DataSpec, spec: InputSpec) -> Raw:
    """Images from ``train*.parquet`` and ``test*.parquet``, or from all parquet files, which are then split.

    The encoded images are held in memory, decoded ones as far as they fit
    (``toolchain/frontend/data/stores.py``).
    """
    image_mode(spec)
    train, test, notes = _files(path)
    images: list[bytes] = []
    labels: list[Any] = []
    starts: list[tuple[int, str]] = []
    class_names: tuple[str, ...] = ()
    for file in train + test:
        starts.append((len(images), file.name))
        class_names = _append(file, data, images, labels) or class_names
    held_out = next((start for start, name in starts if test and name == test[0].name), None)

    def name(row: int) -> str:
        start, file_name = [pair for pair in starts if pair[0] <= row][-1]
        return f"row {row - start} of {file_name}"

    return Raw(
        store=ImageStore(len(images), lambda row: pillow().open(io.BytesIO(images[row])), name, spec),
        content=lambda row: images[row],
        labels=labels,
        names=class_names,
        test=None if held_out is None else np.arange(len(images)) >= held_out,
        notes=notes,
    )


def _files(path: Path) -> tuple[list[Path], list[Path], tuple[str, ...]]:
    """Files to train from, files to test with, and notes on those passed over."""
    files = [path] if path.is_file() else sorted(path.glob("*.parquet"))
    if not files:
        raise DataError("the folder holds no .parquet files", seen=str(path), next_step="check the path")
    test = [file for file in files if file.stem.startswith("test")]
    train = [file for file in files if file.stem.startswith("train")]
    if not test or len(files) == 1:
        return files, [], ()
    train = train or [file for file in files if file not in test]
    if not train:
        raise DataError(
            "there are test files but none to train from",
            seen=", ".join(file.name for file in files),
            next_step="add train*.parquet",
        )
    other = [file.name for file in files if file not in train + test]
    return train, test, (f"passed over: {', '.join(other)}",) if other else ()


def _append(file: Path, data: DataSpec, images: list[bytes], labels: list[Any]) -> tuple[str, ...]:
    """Add the rows of one file; returns the class names that its metadata states."""
    parquet = require("pyarrow.parquet", "to read parquet files", install_extra("data"))
    arrow = require("pyarrow", "to read parquet files", install_extra("data"))
    try:
        schema = parquet.read_schema(file)
        image, label = _columns(schema, data, file.name)
        table = parquet.read_table(file, columns=[image, label])
    except (arrow.ArrowException, OSError) as error:
        raise DataError(
            "the parquet file cannot be read", seen=f"{file}: {error}", next_step="write or copy the file again"
        ) from error
    rows: list[bytes | None] = []
    for chunk in table.column(image).chunks:
        rows += (chunk.field("bytes") if arrow.types.is_struct(chunk.type) else chunk).to_pylist()
    if None in rows:
        raise DataError(
            "every row needs the bytes of an image",
            seen=f"row {rows.index(None)} of {file.name} has none",
            next_step="remove these rows, or write the images into them",
        )
    images += [row for row in rows if row is not None]
    labels += table.column(label).to_pylist()
    return _class_names(schema.metadata or {}, label)


def _columns(schema: Any, data: DataSpec, where: str) -> tuple[str, str]:
    holders = [field.name for field in schema if _holds_images(field.type)]
    image = _column(data.image_column, holders if len(holders) == 1 else [], schema.names, "image_column", where)
    known = [name for name in LABEL_NAMES if name in schema.names and name != image]
    if image not in holders:
        raise ConfigError(
            "the image column must hold bytes, or a struct with 'bytes'",
            seen=f"'{image}' of {where}",
            next_step='set image_column = "NAME"',
        )
    return image, _column(data.label_column, known[:1], schema.names, "label_column", where)


def _column(given: str | None, found: list[str], names: Sequence[str], setting: str, where: str) -> str:
    if given is not None and given in names:
        return given
    if given is None and found:
        return found[0]
    seen = f"'{given}' is not in {where}" if given else f"cannot tell which column of {where}"
    raise ConfigError(
        f"{setting} must name a column",
        seen=seen,
        allowed=", ".join(names),
        next_step=did_you_mean(given, names) if given else f'set {setting} = "NAME"',
    )


def _holds_images(kind: Any) -> bool:
    types = require("pyarrow", "to read parquet files", install_extra("data")).types
    if types.is_struct(kind):
        kind = next((kind.field(i).type for i in range(kind.num_fields) if kind.field(i).name == "bytes"), kind)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _class_names(metadata: dict[bytes, bytes], label: str) -> tuple[str, ...]:
    """Class names in the metadata that the Hugging Face ``datasets`` library writes, if any."""
    try:
        info = json.loads(metadata.get(b"huggingface", b"{}"))
        names = info.get("info", {}).get("features", {}).get(label, {}).get("names", [])
    except (ValueError, AttributeError):
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()
