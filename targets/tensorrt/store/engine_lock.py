"""The engine folder as a place that several processes write to, and that may refuse. Travels to the device."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from profiles.errors import OutputError
from targets.files import DISK, write_bytes

#: Names the folder in which engines are kept.
VARIABLE = "EDGEWRIGHT_ENGINES"
_LOCK = "build.lock"


@contextlib.contextmanager
def alone(root: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """One build at a time per folder: two would disturb each other's timing, and make the same engine twice.

    The kernel lets go of the lock when a process ends, however it ends (flock(2)).

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        stream = (root / _LOCK).open("ab")
    except OSError as error:
        raise unwritable(root, error) from error
    with stream:
        _take(stream, root, waiting)
        yield


def _take(stream: IO[bytes], root: Path, waiting: Callable[[], None]) -> None:
    try:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError as error:
        raise unwritable(root, error) from error


def write(path: Path, content: bytes) -> None:
    """Write a file in one step.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    try:
        write_bytes(path, content)
    except OutputError as error:
        raise unwritable(path, error.__cause__ if isinstance(error.__cause__, OSError) else error) from error


def unwritable(path: Path, error: BaseException) -> OutputError:
    """The refusal of an engine folder, with the variable that names another."""
    full = isinstance(error, OSError) and error.errno in DISK
    mend = "free some space (edgewright-runtime engines prune)" if full else "let this user write there"
    return OutputError(
        f"cannot keep an engine in {path}",
        seen=(error.strerror if isinstance(error, OSError) else "") or str(error),
        next_step=f"{mend}, or name another folder with {VARIABLE}=/path",
    )
