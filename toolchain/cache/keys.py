"""What a step depends on, as one digest.

Equal inputs give equal keys on every machine and in every process; anything whose meaning could be
lost on the way to JSON is refused instead of guessed.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import importlib.util
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError

#: Raised whenever entries of older releases can no longer be read.
FORMAT = 1


def step_key(name: str, version: int, inputs: Mapping[str, Any]) -> str:
    """The key of a step: 64 hex digits.

    Args:
        name: of the step.
        version: raised by hand when the step's meaning changes without its sources changing.
        inputs: names to numbers, texts, booleans, None, lists, mappings, dataclasses, enums, bytes and
            arrays, nested at will. A :class:`~pathlib.Path` stands for the contents of that file or
            folder, not for its name. The order of a mapping does not count, that of a list does.

    Raises:
        ConfigError: a path that does not exist or cannot be read.
        TypeError: a value that has no exact form in JSON (NaN, a set, an arbitrary object).
    """
    return key_of(name, version, plain(inputs))


def key_of(name: str, version: int, data: Any) -> str:
    """The same, from inputs that :func:`plain` has turned into JSON data already."""
    return digest_of([FORMAT, name, version, data])


def digest_of(value: Any) -> str:
    """SHA-256 of JSON data in its one canonical text."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def plain(value: Any) -> Any:
    """A step's input as JSON data; files, folders, bytes and arrays become their digests."""
    if isinstance(value, enum.Enum):
        return {"$enum": type(value).__name__, "name": value.name}
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, Mapping):
        return {_text(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return _tagged(value)


def _number(value: float) -> float:
    if not math.isfinite(value):
        raise TypeError(f"a step's inputs are finite numbers, got {value!r}")
    return value


def _text(key: Any) -> str:
    if not isinstance(key, str) or key.startswith("$"):
        raise TypeError(f"a step's inputs are keyed by texts that do not start with '$', got {key!r}")
    return key


def _tagged(value: Any) -> dict[str, Any]:
    if isinstance(value, Path):
        return {"$folder": folder_digest(value)} if value.is_dir() else {"$file": file_digest(value)}
    if isinstance(value, bytes):
        return {"$bytes": hashlib.sha256(value).hexdigest()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"$type": type(value).__name__, "fields": fields}
    return _array(value)


def _array(value: Any) -> dict[str, Any]:
    import numpy as np

    if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.hasobject:
        raise TypeError(f"a step's inputs are data, got {type(value).__name__}")
    array = np.asarray(value, order="C")
    return {
        "$array": hashlib.sha256(array.tobytes()).hexdigest(),
        "dtype": array.dtype.str,
        "shape": list(array.shape),
    }


def file_digest(path: Path) -> str:
    """SHA-256 of a file's contents.

    Raises:
        ConfigError: it is not there, or cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"wanted to read {path}", seen=error.strerror or str(error)) from error


def folder_digest(path: Path) -> str:
    """SHA-256 over the names and contents of all files below a folder.

    Hidden files and Python's byte code do not count.
    """
    return digest_of({file.relative_to(path).as_posix(): file_digest(file) for file in _files(path)})


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if not hidden and path.suffix != ".pyc" and path.is_file():
            yield path


@functools.cache
def source_digest(*modules: str) -> str:
    """SHA-256 of the sources of packages and modules, such as ``"targets.onnxruntime"``.

    A package stands for every file in its folder, templates and C sources included. Nothing is
    imported. Each set of names is read once per process: sources do not change under a running build.

    Raises:
        ModuleNotFoundError: no such module.
    """
    return digest_of({name: _module_digest(name) for name in modules})


def _module_digest(name: str) -> str:
    top, *rest = name.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module named {name!r}", name=name)
    origin = Path(spec.origin)
    place = (origin.parent if spec.submodule_search_locations else origin.with_suffix("")).joinpath(*rest)
    if place.is_dir():
        return folder_digest(place)
    source = place.with_suffix(".py")
    if not source.is_file():
        raise ModuleNotFoundError(f"no module named {name!r}", name=name)
    return file_digest(source)
