"""The cache itself: look, wait, make, hand out.

Below the root: ``entries/KEY/`` (see ``entry.py``), ``locks/KEY.lock``, held by whoever looks at or makes
that entry, and ``work/``, where entries are made (see ``staging.py``).
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from toolchain.cache.entry import FILES, Damaged, Entry, check, move, seal
from toolchain.cache.eviction import Eviction, mark_used
from toolchain.cache.keys import key_of, plain, step_key
from toolchain.cache.refusals import DISK, refusals
from toolchain.cache.staging import LOCK, Staging

#: Bytes of all entries together.
DEFAULT_LIMIT = 20e9

Note = Callable[[str], None]
Produce = Callable[[Path], None]

#: https://bford.info/cachedir/: backup programs leave such a folder out.
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# The cache of edgewright; it may be removed at any time.\n"


def log_note(text: str) -> None:
    """Tell the user through ``logging``, which by default means standard error."""
    logging.getLogger("edgewright.cache").warning(text)


@dataclasses.dataclass(frozen=True)
class CachedStep:
    """What a step left.

    Attributes:
        path: folder with the step's files, read-only, and safe from eviction until the cache is closed.
        hit: whether it was there already.
        seconds: that this look-up took, making included.
        made_in: seconds that making it took, this time or back then.
        key: the step's key.
    """

    path: Path
    hit: bool
    seconds: float
    made_in: float
    key: str


class Cache:
    """Steps' outputs by the digest of their inputs. May be used from several threads and processes at once.

    Args:
        root: the folder; made when it is not there.
        limit: bytes; entries not in use are evicted beyond it, least recently used first.
        note: told in one sentence what the user should know.

    Raises:
        OutputError: the root cannot be made or written.
    """

    def __init__(self, root: Path, *, limit: float = DEFAULT_LIMIT, note: Note = log_note) -> None:
        self.root = root
        self._note = note
        self._held: dict[str, Entry] = {}
        self._busy: Counter[str] = Counter()
        self._guard = threading.Lock()
        self._staging = Staging(root / "work")
        self._eviction = Eviction(root / "entries", root / "locks", self._staging, limit)
        with refusals(root):
            for folder in (root, root / "entries", root / "locks"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (root / "CACHEDIR.TAG").write_text(_TAG, encoding="ascii")
            self._staging.sweep()

    def folder(self, name: str, inputs: Mapping[str, Any], produce: Produce, *, version: int = 1) -> CachedStep:
        """The outputs of a step, from the cache or freshly made.

        Args:
            name: of the step; part of the key.
            inputs: everything that the outputs depend on, see :func:`toolchain.cache.keys.step_key`.
            produce: writes the outputs into the empty folder that it is given. Whatever it raises
                passes through, and nothing is kept.
            version: part of the key.

        Raises:
            OutputError: the disk is full, or refuses to be written.
        """
        start = time.perf_counter()
        data = plain(inputs)
        key = key_of(name, version, data)
        with self._locked(key, name):
            entry = self._find(key, name)
            hit = entry is not None
            if entry is None:
                facts = {"step": name, "version": version, "inputs": data, "key": key}
                entry = self._make(key, facts, produce)
            self._hold(key, entry)
        if not hit:
            self._eviction.shrink()
        return CachedStep(entry.path, hit, time.perf_counter() - start, entry.seconds, key)

    def _find(self, key: str, name: str) -> Entry | None:
        place = self._place(key)
        try:
            entry = check(place, key)
        except Damaged as damage:
            self._note(f"the cached result of '{name}' is damaged ({damage}) and is made again")
            with refusals(place), self._staging.folder() as grave:
                place.rename(grave / "entry")
            return None
        if entry is not None:
            mark_used(entry)
        return entry

    def _make(self, key: str, facts: Mapping[str, Any], produce: Produce) -> Entry:
        with refusals(self.root, only=DISK), self._work_folder() as work:
            files = work / "entry" / FILES
            files.mkdir(parents=True)
            start = time.perf_counter()
            produce(files)
            seconds = time.perf_counter() - start
            with refusals(self.root):
                seal(work / "entry", {**facts, "seconds": seconds})
                move(work / "entry", self._place(key))
            entry = check(self._place(key), key)
        assert entry is not None, "nobody else touches an entry while its lock is held"
        return entry

    @contextlib.contextmanager
    def _work_folder(self) -> Iterator[Path]:
        with contextlib.ExitStack() as stack:
            with refusals(self.root):
                work = stack.enter_context(self._staging.folder())
            yield work

    @contextlib.contextmanager
    def _locked(self, key: str, name: str) -> Iterator[None]:
        """Alone with this key; a second build waits here until the first has made the entry."""
        lock = FileLock(self.root / "locks" / f"{key}{LOCK}")
        with self._counted(key), contextlib.ExitStack() as stack:
            with refusals(self.root):
                try:
                    stack.enter_context(lock.acquire(timeout=0))
                except Timeout:
                    if self._busy[key] == 1:
                        self._note(f"waiting for another build, which is at '{name}' too")
                    stack.enter_context(lock.acquire())
            yield

    @contextlib.contextmanager
    def _counted(self, key: str) -> Iterator[None]:
        """Count our own threads at a key, to tell them from other builds."""
        with self._guard:
            self._busy[key] += 1
        try:
            yield
        finally:
            with self._guard:
                self._busy[key] -= 1

    def _place(self, key: str) -> Path:
        return self.root / "entries" / key

    def _hold(self, key: str, entry: Entry) -> None:
        """Keep the entry from being evicted until we are closed."""
        with self._guard:
            old = self._held.get(key)
            self._held[key] = entry
        if old is not None:
            old.manifest.close()

    def size(self) -> int:
        """Bytes of all entries."""
        return self._eviction.size()

    def count(self) -> int:
        """Number of entries."""
        return sum(1 for _ in (self.root / "entries").iterdir())

    def clear(self) -> int:
        """Remove every entry that nobody uses; returns how many went."""
        return self._eviction.shrink(0)

    def peek(self, name: str, inputs: Mapping[str, Any], *, version: int = 1) -> Path | None:
        """The outputs of a step if it has been made, unchecked and not protected from eviction: for ``--dry-run``."""
        place = self._place(step_key(name, version, inputs))
        return place / FILES if (place / FILES).is_dir() else None

    def clean(self) -> int:
        """Remove what dead processes left, and entries beyond the limit; returns how many were removed."""
        return self._staging.sweep() + self._eviction.drop_idle_locks() + self._eviction.shrink()

    def close(self) -> None:
        """Let go of the entries that were handed out; they may be evicted from now on."""
        with self._guard:
            held, self._held = self._held, {}
        for entry in held.values():
            entry.manifest.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
