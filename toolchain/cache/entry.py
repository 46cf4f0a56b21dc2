"""One entry on disk: a folder with ``files/`` and a manifest that pins every byte of them.

An entry comes into being complete: files are written and flushed, then the manifest, and only then is
the folder renamed to its place. It is checked in full each time before it is used. A process that uses
an entry holds a shared lock on its manifest, which keeps it from being evicted.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from profiles.errors import OutputError
from toolchain.cache.keys import digest_of

FILES = "files"
MANIFEST = "entry.json"


class Damaged(Exception):
    """An entry that must not be used; the text says what is wrong with it."""


@dataclasses.dataclass
class Entry:
    """An entry that was checked and is held.

    Attributes:
        path: the folder with the step's files.
        seconds: that making it took.
        manifest: open, with a shared lock on it.
    """

    path: Path
    seconds: float
    manifest: IO[bytes]


def seal(folder: Path, facts: Mapping[str, Any]) -> None:
    """Finish an entry: flush all files, make them read-only, and write the manifest last.

    Args:
        folder: with the step's output below ``files/``.
        facts: ``key`` and ``seconds``, and whatever helps people who look at the manifest.

    Raises:
        OutputError: the step left something other than plain files and folders of its own.
        OSError: the disk refuses.
    """
    files = {name: _seal_file(path, name) for name, path in _plain_files(folder / FILES)}
    for place, _, _ in os.walk(folder / FILES):
        _flush(Path(place))
    body = {**facts, "files": files}
    with (folder / MANIFEST).open("wb") as stream:
        stream.write(json.dumps({"entry": body, "sha256": digest_of(body)}, sort_keys=True).encode())
        stream.flush()
        os.fsync(stream.fileno())
    _flush(folder)


def _seal_file(path: Path, name: str) -> list[Any]:
    if path.stat().st_nlink != 1:
        raise OutputError("a cached step writes files of its own", seen=f"{name} is a hard link")
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        status = os.fstat(stream.fileno())
        os.fchmod(stream.fileno(), stat.S_IMODE(status.st_mode) & 0o555)
        return [status.st_size, hashlib.file_digest(stream, "sha256").hexdigest()]


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def move(source: Path, place: Path) -> None:
    """Rename a folder and flush its new parent, so that the rename outlives a power cut."""
    source.rename(place)
    _flush(place.parent)


def _plain_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Name and path of every file below ``folder``, sorted within each folder."""
    for path in sorted(folder.iterdir()):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            yield from ((f"{path.name}/{name}", inner) for name, inner in _plain_files(path))
        elif stat.S_ISREG(mode):
            yield path.name, path
        else:
            raise OutputError("a cached step writes plain files and folders", seen=f"{path.name} is neither")


def check(folder: Path, key: str) -> Entry | None:
    """Look at the entry in ``folder``: None when there is none, else complete, correct and held.

    Raises:
        Damaged: it is there but must not be used.
    """
    try:
        manifest = (folder / MANIFEST).open("rb")
    except FileNotFoundError:
        if os.path.lexists(folder):
            raise Damaged(f"{MANIFEST} is missing") from None
        return None
    except OSError as error:
        raise Damaged(f"{MANIFEST}: {error.strerror}") from error
    try:
        fcntl.flock(manifest, fcntl.LOCK_SH)
        body = _body(manifest.read(), key)
        _check_files(folder / FILES, body["files"])
        return Entry(folder / FILES, body["seconds"], manifest)
    except BaseException:
        manifest.close()
        raise


def _body(text: bytes, key: str) -> dict[str, Any]:
    try:
        outer = json.loads(text)
        body: dict[str, Any] = outer["entry"]
        if outer["sha256"] != digest_of(body) or body["key"] != key:
            raise ValueError("it was changed")
        return body
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Damaged(f"{MANIFEST}: {error}") from error


def _check_files(folder: Path, wanted: Mapping[str, list[Any]]) -> None:
    try:
        seen = dict(_plain_files(folder))
        for name in sorted(wanted.keys() ^ seen.keys()):
            raise Damaged(f"{name} is missing" if name in wanted else f"{name} does not belong there")
        for name, (size, digest) in wanted.items():
            with seen[name].open("rb") as stream:
                same_size = os.fstat(stream.fileno()).st_size == size
                if not same_size or hashlib.file_digest(stream, "sha256").hexdigest() != digest:
                    raise Damaged(f"{name} was changed")
    except OutputError as error:
        raise Damaged(error.seen) from error
    except OSError as error:
        raise Damaged(str(error)) from error
