"""Keeping the cache below its limit: least recently used entries go first, those in use never.

When an entry was last used is the modification time of its manifest.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from toolchain.cache.entry import MANIFEST, Entry
from toolchain.cache.staging import LOCK, Staging


def mark_used(entry: Entry) -> None:
    """Note that the entry was used just now."""
    with contextlib.suppress(OSError):  # a read-only disk: the entry is as good, only its age is not known
        os.utime(entry.manifest.fileno())


class Eviction:
    """Removes entries from the folder ``entries``, whose locks are in ``locks``.

    Args:
        entries, locks: folders of the cache.
        staging: where an entry is moved to before it is taken apart, so that nobody sees half of one.
        limit: bytes that all entries together may have.
    """

    def __init__(self, entries: Path, locks: Path, staging: Staging, limit: float) -> None:
        self._entries = entries
        self._locks = locks
        self._staging = staging
        self._limit = limit
        self._guard = threading.Lock()

    def size(self) -> int:
        """Bytes of all entries."""
        return sum(_size(entry) for entry in self._entries.iterdir())

    def shrink(self, limit: float | None = None) -> int:
        """Evict until the limit is kept or everything left is in use; returns how many entries went."""
        limit = self._limit if limit is None else limit
        removed = 0
        with self._guard:
            sizes = {entry: _size(entry) for entry in sorted(self._entries.iterdir(), key=_last_used)}
            total = sum(sizes.values())
            for entry, size in sizes.items():
                if total <= limit:
                    break
                if self._evict(entry):
                    removed += 1
                    total -= size
        return removed

    def _evict(self, entry: Path) -> bool:
        lock = self._locks / f"{entry.name}{LOCK}"
        try:
            with FileLock(lock, timeout=0), _unused(entry), self._staging.folder() as grave:
                entry.rename(grave / "entry")
                lock.unlink()
        except (Timeout, OSError):  # it is being looked at, is in use, or is gone already
            return False
        return True

    def drop_idle_locks(self) -> int:
        """Remove lock files of keys that have no entry and that nobody holds."""
        removed = 0
        for lock in self._locks.glob(f"*{LOCK}"):
            if (self._entries / lock.name.removesuffix(LOCK)).exists():
                continue
            with contextlib.suppress(Timeout, OSError), FileLock(lock, timeout=0):
                lock.unlink()
                removed += 1
        return removed


@contextlib.contextmanager
def _unused(entry: Path) -> Iterator[None]:
    """Refuse (BlockingIOError) when some process holds the entry; one without a manifest nobody can hold."""
    with contextlib.ExitStack() as stack:
        if (entry / MANIFEST).exists():
            manifest = stack.enter_context((entry / MANIFEST).open("rb+"))
            fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _last_used(entry: Path) -> float:
    try:
        return (entry / MANIFEST).stat().st_mtime
    except OSError:
        return 0.0


def _size(entry: Path) -> int:
    total = 0
    for place, _, names in os.walk(entry):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # evicted by another process just now
                total += os.lstat(os.path.join(place, name)).st_size
    return total
