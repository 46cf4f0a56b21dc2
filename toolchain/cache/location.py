"""Where the cache is, how large it may grow, and what happens without one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from profiles.errors import OutputError
from profiles.units import parse_quantity
from toolchain.cache.staging import Staging
from toolchain.cache.store import DEFAULT_LIMIT, Cache, Note, log_note

PLACE = "EDGEWRIGHT_CACHE"
LIMIT = "EDGEWRIGHT_CACHE_LIMIT"


class TemporaryCache(Cache):
    """A cache that starts empty and is gone when it is closed: what ``--no-cache`` means.

    A step that is asked for twice in one build is still done once. What a killed build left is
    removed by the next one.

    Raises:
        OutputError: the system's folder for temporary files cannot be written.
    """

    def __init__(self, *, note: Note = log_note) -> None:
        base = Path(tempfile.gettempdir()) / f"edgewright-{os.getuid()}"
        try:
            _own_folder(base)
            staging = Staging(base)
            staging.sweep()
            self._folder = staging.folder()
            root = self._folder.__enter__()
        except OSError as error:
            raise OutputError(
                f"cannot write the temporary folder {base}",
                seen=error.strerror or str(error),
                next_step="set TMPDIR to a folder that can be written",
            ) from error
        try:
            super().__init__(root, limit=float("inf"), note=note)
        except BaseException:
            self._folder.__exit__(None, None, None)
            raise

    def close(self) -> None:
        """Remove everything."""
        super().close()
        self._folder.__exit__(None, None, None)


def _own_folder(path: Path) -> None:
    """Make a folder that nobody else can write, or refuse one that someone else put there."""
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if path.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise PermissionError(13, "it is not ours alone")


def open_cache(*, reuse: bool = True, note: Note = log_note) -> Cache:
    """The user's cache: ``$EDGEWRIGHT_CACHE``, ``$XDG_CACHE_HOME/edgewright`` or ``~/.cache/edgewright``.

    The limit is ``$EDGEWRIGHT_CACHE_LIMIT`` (such as ``"5 GB"``) or 20 GB. Where the folder was not named
    by ``$EDGEWRIGHT_CACHE`` and cannot be written, the build goes on without a cache, and a note says so.

    Args:
        reuse: False for ``--no-cache``: nothing is taken from earlier builds, and nothing is kept.
        note: told in one sentence what the user should know.

    Raises:
        OutputError: ``$EDGEWRIGHT_CACHE`` cannot be written.
        ConfigError: the limit is not a size.
    """
    if not reuse:
        return TemporaryCache(note=note)
    limit = parse_quantity(os.environ[LIMIT], "B", where=LIMIT) if os.environ.get(LIMIT) else DEFAULT_LIMIT
    chosen = os.environ.get(PLACE)
    if chosen:
        return Cache(Path(chosen).expanduser().absolute(), limit=limit, note=note)
    try:
        return Cache(_usual_place(), limit=limit, note=note)
    except OutputError as error:
        note(f"every step is done anew: {error.wanted} ({error.seen}); set {PLACE} to keep results")
        return TemporaryCache(note=note)


def _usual_place() -> Path:
    """After the XDG Base Directory Specification 0.8: a relative ``$XDG_CACHE_HOME`` is ignored."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (base if base.is_absolute() else Path.home() / ".cache") / "edgewright"
    except RuntimeError as error:  # no $HOME, and the system does not know this user
        raise OutputError("cannot find the home folder", seen=str(error)) from error
