"""Folders to work in that vanish when their maker is done, or dead.

Each folder ``NAME`` has a lock file ``NAME.lock`` that its maker holds for as long as it lives. The
kernel lets go of the lock when the maker dies, however it dies, so that anyone who gets the lock knows
that the folder is garbage. Process numbers would not do: they are used again, and mean nothing from
one container to the next.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy, FileLock, Timeout

LOCK = ".lock"


class Staging:
    """Makes working folders below ``root``, and clears away those whose makers are gone."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """A new empty folder, removed with all that is left in it when the block ends.

        Raises:
            OSError: it cannot be made.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        path, lock = self._new_name()
        with lock:
            try:
                path.mkdir()
                yield path
            finally:
                self._remove(path)

    def _new_name(self) -> tuple[Path, AcquireReturnProxy[Any]]:
        """A name with its lock held; a sweep may be quicker than we are to lock our new file, so try another."""
        while True:
            path = self.root / f"{os.getpid()}-{secrets.token_hex(8)}"
            with contextlib.suppress(Timeout):
                return path, _lock(path).acquire()

    def sweep(self) -> int:
        """Remove the folders of dead makers; returns how many there were."""
        removed = 0
        for name in sorted({path.name.removesuffix(LOCK) for path in _listing(self.root)}):
            with contextlib.suppress(Timeout, OSError):  # its maker lives, or another sweep is at it
                removed += self._sweep_one(self.root / name)
        return removed

    def _sweep_one(self, path: Path) -> int:
        with _lock(path):
            found = path.exists()
            self._remove(path)
        return int(found)

    def _remove(self, path: Path) -> None:
        """The folder first and its lock file last, so that no folder is ever without one."""
        remove_tree(path)
        if not path.exists():
            path.with_name(path.name + LOCK).unlink(missing_ok=True)


def _lock(path: Path) -> FileLock:
    return FileLock(path.with_name(path.name + LOCK), timeout=0, thread_local=False)


def _listing(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def remove_tree(folder: Path) -> None:
    """Remove a folder, also when it holds read-only folders; what refuses to go is left for the next sweep."""
    if not folder.is_dir():
        return
    for place, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            os.chmod(place, stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)
