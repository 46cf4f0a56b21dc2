"""What travels between this machine and a device: the files sent, and the outputs brought back.

Both ways every byte is covered by a SHA-256, and nothing is held in memory but one block.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError, VerificationError
from targets.artifact import MANIFEST, Artifact, output_error, sha256
from targets.runtime import MIN_PYTHON

_BLOCK = 1 << 20


@dataclasses.dataclass(frozen=True)
class Upload:
    """What is sent: the header, and the files with their sizes in bytes, in order."""

    header: bytes
    files: tuple[tuple[Path, int], ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(size for _, size in self.files)

    def preamble(self) -> bytes:
        """The header, with its length and hash in front."""
        return f"{len(self.header)} {hashlib.sha256(self.header).hexdigest()}\n".encode() + self.header

    def blocks(self) -> Iterator[bytes]:
        """The bytes of all files.

        Raises:
            VerificationError: a file is shorter than it was when the header was made.
        """
        for path, size in self.files:
            with path.open("rb") as stream:
                left = size
                while left and (block := stream.read(min(left, _BLOCK))):
                    left -= len(block)
                    yield block
            if left:
                raise VerificationError(
                    f"{path.name} became shorter while it was being sent",
                    seen=f"{size - left} bytes",
                    allowed=f"{size} bytes",
                    next_step="let nothing write to the bundle, and run it again",
                )


def plan_upload(artifact: Artifact, runtime: Path, request: Mapping[str, Any], timeout: float) -> Upload:
    """The header and the files for one request, in the format of ``targets/remote_bootstrap.py``.

    Raises:
        ConfigError: the inputs file cannot be read.
    """
    renamed = {"bundle": "bundle"} | {key: f"{key}.npz" for key in ("inputs", "outputs") if request.get(key)}
    there = {"runtime.pyz": runtime} | {
        f"bundle/{name}": artifact.folder / name for name in (MANIFEST, *artifact.files)
    }
    if "inputs" in renamed:
        there[renamed["inputs"]] = _readable(Path(request["inputs"]))
    sizes = {name: path.stat().st_size for name, path in there.items()}
    header = {
        "files": [{"name": name, "size": sizes[name], "sha256": sha256(path)} for name, path in there.items()],
        "request": {**request, **renamed},
        "outputs": renamed.get("outputs"),
        "min_python": MIN_PYTHON,
        "timeout": timeout,
    }
    return Upload(json.dumps(header).encode(), tuple((path, sizes[name]) for name, path in there.items()))


def _readable(path: Path) -> Path:
    if not os.access(path, os.R_OK) or not path.is_file():
        raise ConfigError("wanted a file with inputs", seen=f"{path} cannot be read", allowed="an .npz file")
    return path


class Download:
    """The outputs file on its way in: collected next to its place, put there when it is complete and checked."""

    def __init__(self, wanted: str | Path | None) -> None:
        self.wanted = Path(wanted) if wanted else None
        self.partial = self.wanted.with_name(f".{self.wanted.name}.{os.getpid()}.part") if self.wanted else None
        self.digest = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Download:
        return self

    def __exit__(self, *_: object) -> None:
        if self.partial:
            self.partial.unlink(missing_ok=True)

    def add(self, block: bytes) -> None:
        """The next piece.

        Raises:
            OutputError: it cannot be written.
        """
        if self.partial is None:
            raise VerificationError("the device sent outputs that were not asked for", seen=f"{len(block)} bytes")
        try:
            with self.partial.open("ab") as stream:
                stream.write(block)
        except OSError as error:
            raise output_error(self.partial, error) from error
        self.digest.update(block)
        self.size += len(block)

    def finish(self, said: Mapping[str, Any] | None) -> None:
        """Compare with the size and hash that the device gave, and put the file in its place.

        Raises:
            VerificationError: they differ.
            OutputError: the place cannot be written.
        """
        if self.partial is None or self.wanted is None:
            return
        if said != {"size": self.size, "sha256": self.digest.hexdigest()}:
            raise VerificationError("the outputs arrived damaged", seen=f"{self.size} bytes", next_step="run it again")
        try:
            self.partial.replace(self.wanted)
        except OSError as error:
            raise output_error(self.wanted, error) from error
