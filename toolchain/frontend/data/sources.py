"""What a source of data is asked and what it gives, and the one list of sources."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from profiles.errors import ConfigError, DataError
from profiles.runner import Array
from profiles.suggest import did_you_mean
from toolchain.frontend.data.stores import Store
from toolchain.frontend.specs import DataSpec, InputSpec


@dataclasses.dataclass(frozen=True)
class Raw:
    """What a source read.

    Attributes:
        store: the samples, in the source's own order.
        content: the bytes that say what sample ``row`` is, for ordering and splitting.
        labels: one per row, text or whole numbers; None when there are none.
        names: class names that the source itself states.
        test: which rows the source sets aside for testing; None when it does not.
        mirrored: whether an image means the same when mirrored.
        notes: sentences on what was passed over.
    """

    store: Store
    content: Callable[[int], bytes]
    labels: Sequence[Any] | None
    names: tuple[str, ...] = ()
    test: Array | None = None
    mirrored: bool = True
    notes: tuple[str, ...] = ()


Reader = Callable[[Path, DataSpec, InputSpec], Raw]

#: Sources that name a file or folder, and those that do not.
WITH_PATH = ("parquet", "folder", "npz")
WITHOUT_PATH = ("digits", "random")
FORMS = ", ".join((*WITHOUT_PATH, *(f"{kind}:PATH" for kind in WITH_PATH)))


def parse_source(spec: DataSpec) -> tuple[str, Path]:
    """The kind of source and its path (the root, where the kind has none).

    Raises:
        ConfigError: an unknown kind, or a path too many or too few.
        DataError: the path does not exist.
    """
    kind, colon, argument = spec.source.partition(":")
    if kind not in WITH_PATH + WITHOUT_PATH or bool(argument) != (kind in WITH_PATH) or (colon and not argument):
        raise ConfigError(
            "cannot tell what the data's source is",
            seen=repr(spec.source),
            allowed=FORMS,
            next_step=did_you_mean(kind, WITH_PATH + WITHOUT_PATH) or "write it in one of these forms",
        )
    path = spec.root / argument
    if not path.exists():
        raise DataError("the data does not exist", seen=str(path), next_step="check the path")
    return kind, path


def reader(kind: str) -> Reader:
    """The function that reads sources of this kind; its module is imported only now."""
    module = importlib.import_module(f"toolchain.frontend.data.read_{kind}")
    return cast("Reader", module.read)
