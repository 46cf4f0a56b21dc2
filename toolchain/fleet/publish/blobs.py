"""Files under their hash: written once, never changed, the same one for all releases that have it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import BinaryIO

from profiles.errors import VerificationError
from targets.artifact import sha256 as hash_of
from targets.files import output_error
from toolchain.fleet.documents.release import Blob
from toolchain.fleet.trust.journal import flush

_BLOCK = 1 << 20
#: Seconds after which nobody writes a temporary file any more.
_ABANDONED = 86400.0


class Blobs:
    """The blobs of a repository.

    Args:
        repository: the folder that is served.
    """

    def __init__(self, repository: Path) -> None:
        self._repository = repository

    def path(self, blob: Blob) -> Path:
        """Where it lies, or would."""
        return self._repository / blob.url_path

    def has(self, blob: Blob) -> bool:
        """Whether it is there in full length."""
        try:
            return self.path(blob).stat().st_size == blob.size
        except OSError:
            return False

    def check(self, blob: Blob) -> None:
        """Read it and compare.

        Raises:
            VerificationError: it is missing, or damaged.
        """
        path = self.path(blob)
        if not self.has(blob) or hash_of(path) != blob.sha256:
            raise VerificationError(
                f"wanted {path}", seen="missing, or damaged", next_step="publish the bundle again: it is then replaced"
            )

    def add_file(self, source: Path, *, sha256: str = "") -> Blob:
        """Take up a copy of a file; what is done to the file later does not reach it.

        Args:
            source: the file.
            sha256: what it must have, where that is known.

        Raises:
            VerificationError: it has another hash.
            OutputError: the disk refuses.
        """
        with source.open("rb") as stream:
            return self._add(stream, sha256, source.name)

    def add(self, content: bytes) -> Blob:
        """Take up bytes."""
        import io

        return self._add(io.BytesIO(content), "", "a file")

    def _add(self, source: BinaryIO, wanted: str, name: str) -> Blob:
        folder = self._repository / "blobs"
        temporary = folder / f".{os.getpid()}-{secrets.token_hex(8)}.tmp"
        try:
            blob = _copy(source, temporary)
            if wanted and blob.sha256 != wanted:
                raise VerificationError(
                    f"{name} changed while it was published", seen=f"sha256 {blob.sha256[:16]}…", allowed=wanted[:16]
                )
            self.use_again(blob)
            if not (self.has(blob) and hash_of(self.path(blob)) == blob.sha256):
                self._place(temporary, self.path(blob))
            return blob
        except OSError as error:
            raise output_error(folder, error) from error
        finally:
            with contextlib.suppress(OSError):  # it has taken its place, or never came to be
                temporary.unlink()

    def _place(self, temporary: Path, final: Path) -> None:
        made = not final.parent.exists()
        final.parent.mkdir(exist_ok=True)
        temporary.replace(final)
        flush(final.parent)
        if made:
            flush(final.parent.parent)

    def use_again(self, blob: Blob) -> None:
        """Note that a file that may be there already is about to be a part of a release, so that nobody removes it."""
        with contextlib.suppress(OSError):  # whether it is there is looked at when the release is signed
            os.utime(self.path(blob))

    def sweep(self) -> None:
        """Remove what writers who were killed left a day ago or longer."""
        for path in (self._repository / "blobs").glob(".*.tmp"):
            with contextlib.suppress(OSError):  # a file more or less harms nobody
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink()


def _copy(source: BinaryIO, target: Path) -> Blob:
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as sink:
        while block := source.read(_BLOCK):
            digest.update(block)
            size += len(block)
            sink.write(block)
        sink.flush()
        os.fsync(sink.fileno())
    return Blob(digest.hexdigest(), size)
