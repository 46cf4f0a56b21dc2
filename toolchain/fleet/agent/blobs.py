"""Bytes by their SHA-256: taken from a slot, made by a delta, or fetched; never more than the release says.

What was fetched lies in ``partial/`` under its hash until the slot is full, so that a download goes on where it was
when power failed. A file there is believed only after its hash was computed anew.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import zstandard

from profiles.errors import OutputError, UnreachableError, VerificationError
from toolchain.fleet.agent.answers import HttpError
from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.agent.protocols import Transport
from toolchain.fleet.agent.slots import is_content, sha256_of
from toolchain.fleet.documents.release import Blob, Delta, File, Packed

#: A base is held in memory while a delta is applied; larger files come whole.
MOST_BASE = 64 << 20
#: Of the machine's memory, that a delta may take: the application is running meanwhile.
_SHARE = 0.25
#: Bytes that stay free beside what is fetched.
MARGIN = 16 << 20
_BLOCK = 1 << 16
#: Windows that any encoder may ask for (RFC 8878, 3.1.1.1.2).
_USUAL_WINDOW = 8 << 20


class AbsentError(UnreachableError):
    """The mirror has no such file."""


@dataclasses.dataclass
class Tally:
    """Bytes that went over the network, and bytes of all files."""

    fetched: int = 0
    full: int = 0


class Blobs:
    """The store of one install.

    Args:
        folder: ``partial/``.
        transport: to the repository.
        disk: for changes.
        bases: files of the slots, by the hash that they should have; each is checked before it is used.
    """

    def __init__(self, folder: Path, transport: Transport, disk: Disk, bases: Mapping[str, Path]) -> None:
        self._folder, self._transport, self._disk, self._bases = folder, transport, disk, bases
        self._sound: dict[str, bool] = {}
        self.tally = Tally()

    def gather(self, bundle: Packed) -> dict[str, Path]:
        """A file for every content of the bundle, by hash.

        Raises:
            OutputError: there is too little space.
            UnreachableError: the server does not answer, or lacks a file; what has come so far is kept.
            VerificationError: the server sends something else.
        """
        self._disk.folder(self._folder)
        self.tally = Tally(full=bundle.size)
        self._forget_others(bundle)
        self.check_space(bundle)
        return {file.content.sha256: self._file(file) for file in bundle.files}

    def check_space(self, bundle: Packed) -> None:
        """Compare the free space with what is still to come.

        Raises:
            OutputError: it is too little.
        """
        wanted = {file.content for file in bundle.files if not self._base(file.content.sha256)}
        missing = sum(max(0, blob.size - _size(self._folder / blob.sha256)) for blob in wanted)
        place = os.statvfs(self._folder)
        free = place.f_bavail * place.f_frsize
        if missing and missing + MARGIN > free:
            raise OutputError(
                "wanted space for a release", seen=f"{free} bytes are free", allowed=f"{missing + MARGIN} or more",
                next_step="free some space; the download is tried again",
            )  # fmt: skip

    def _forget_others(self, bundle: Packed) -> None:
        """Remove what other releases left."""
        wanted = {blob.sha256 for file in bundle.files for blob in (file.content, *(d.patch for d in file.deltas))}
        for path in sorted(self._folder.iterdir()):
            if path.name not in wanted or path.is_symlink() or not path.is_file():
                self._disk.remove(path)

    def _base(self, sha256: str) -> Path | None:
        """A file with this content that is here already, checked."""
        path = self._bases.get(sha256)
        if path is None:
            return None
        if sha256 not in self._sound:
            with contextlib.suppress(OSError):
                self._sound[sha256] = not path.is_symlink() and sha256_of(path) == sha256
        return path if self._sound.get(sha256) else None

    def _file(self, file: File) -> Path:
        here, target = self._base(file.content.sha256), self._folder / file.content.sha256
        if here is not None:
            return here
        if is_content(target, file):
            return target
        for delta in file.deltas:
            base = self._base(delta.base)
            if base is not None and delta.patch.size < file.content.size and self._patched(base, delta, file.content):
                return target
        return self._fetched(file.content)

    def _patched(self, base: Path, delta: Delta, content: Blob) -> bool:
        """Whether a delta gave the content; what goes wrong with it is made good by the full file."""
        target, patch = self._folder / content.sha256, self._folder / delta.patch.sha256
        try:
            if not _fits(base.stat().st_size, content.size):
                return False
            self._fetched(delta.patch)
            self._disk.remove(target)
            with self._disk.adding(target) as add:
                for block in patched(base.read_bytes(), patch, content):
                    add(block)
        except (AbsentError, VerificationError, zstandard.ZstdError, OSError, MemoryError):
            self._disk.remove(target)
            return False
        finally:
            if patch.exists() and target.exists():
                self._disk.remove(patch)
        return True

    def _fetched(self, blob: Blob) -> Path:
        """The blob, fetched to its end. A file that was begun and turns out wrong is begun again, once."""
        path = self._folder / blob.sha256
        begun = path.exists()
        if not self._continued(blob, path):
            self._disk.remove(path)
            if not begun or not self._continued(blob, path):
                self._disk.remove(path)
                raise VerificationError(
                    f"the server's {blob.url_path[:14]}… must be what the release says",
                    seen="another SHA-256 or size",
                    next_step="do not use this mirror; another one, or a later try, may be sound",
                )
        return path

    def _continued(self, blob: Blob, path: Path) -> bool:
        """Fetch the rest; whether the whole is right."""
        digest, size = _begun(path)
        if size > blob.size:
            return False
        if size < blob.size or not path.exists():
            with self._disk.adding(path) as add:
                for chunk in self._chunks(blob, size):
                    size += len(chunk)
                    digest.update(chunk)
                    self.tally.fetched += len(chunk)
                    add(chunk)
        return size == blob.size and digest.hexdigest() == blob.sha256

    def _chunks(self, blob: Blob, start: int) -> Iterator[bytes]:
        if blob.size == 0:
            return
        try:
            yield from self._transport.get(blob.url_path, start, blob.size - start)
        except HttpError as error:
            if error.status == 416 and start:
                return  # too short all the same: begun again
            raise AbsentError(
                f"wanted {blob.url_path[:20]}… of the release", seen=error.seen or str(error),
                next_step="the mirror is incomplete, or still being filled: the download is tried again",
            ) from error  # fmt: skip


def patched(base: bytes, patch: Path, content: Blob) -> Iterator[bytes]:
    """What a patch makes of a base: a zstd frame with the base as its dictionary, within the promised size.

    Raises:
        VerificationError: it gives more than the content's size, or something else.
        ZstdError: it is no such frame, or wants a window larger than both files and 8 MiB.
    """
    digest, size = hashlib.sha256(), 0
    window = max(_USUAL_WINDOW, 1 << (len(base) + content.size).bit_length())
    dictionary = zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    decompressor = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=min(window, 1 << 31))
    with patch.open("rb") as stream, decompressor.stream_reader(stream) as reader:
        while block := reader.read(min(_BLOCK, content.size - size + 1)):
            size += len(block)
            if size > content.size:
                raise VerificationError("a delta gives more than it may", allowed=f"{content.size} bytes")
            digest.update(block)
            yield block
    if size != content.size or digest.hexdigest() != content.sha256:
        raise VerificationError("a delta must give the file that the release says", seen=f"{size} other bytes")


def _fits(base: int, content: int) -> bool:
    """Whether the memory of this machine is enough for a delta: the base twice (file and dictionary) and a window."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return base <= MOST_BASE and 2 * base + content <= memory * _SHARE


def _begun(path: Path) -> tuple[hashlib._Hash, int]:
    """Hash and size of what is there."""
    digest, size = hashlib.sha256(), 0
    if path.is_file():
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
                size += len(block)
    return digest, size


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
