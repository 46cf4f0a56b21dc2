"""Whether a source of data has changed, for the cache."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Protocol

from profiles.errors import DataError
from toolchain.frontend.data.sources import WITH_PATH, parse_source
from toolchain.frontend.specs import DataSpec


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def data_fingerprint(spec: DataSpec) -> str:
    """A SHA-256 (hex) of everything that the loaded data depends on, but the model's input.

    That is the settings of ``spec`` and the bytes of the files that it names, with their names
    relative to the source; where the source lies does not matter.

    Raises:
        ConfigError, DataError: as :func:`toolchain.frontend.data.load_data`, as far as the source goes.
    """
    kind, path = parse_source(spec)
    settings = dataclasses.asdict(spec) | {"root": "", "source": kind}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    if kind == "digits":
        from toolchain.frontend.data.read_digits import load_pixels

        for array in load_pixels():
            digest.update(array.tobytes())
    if kind in WITH_PATH:
        _add_files(digest, path)
    return digest.hexdigest()


def _add_files(digest: _Hash, path: Path) -> None:
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    try:
        for file in files:
            name = str(file.relative_to(path)) if path.is_dir() else ""
            digest.update(f"{name}\0{file.stat().st_size}\0".encode())
            with file.open("rb") as stream:
                while block := stream.read(2**20):
                    digest.update(block)
    except OSError as error:
        raise DataError(
            "the data cannot be read", seen=str(error), next_step="check the path and who may read it"
        ) from error
