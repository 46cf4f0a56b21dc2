"""Every change that the agent makes on the disk, so that power may fail between any two of them.

A file is written beside its place, flushed, renamed, and then its folder is flushed: readers see the old or the new.
``rename(2)`` is atomic; that it also survives a power cut needs the ``fsync`` of the folder (fsync(2), notes).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from profiles.errors import ConfigError, OutputError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TEMPORARY = ".new"


def disk_error(path: Path, error: OSError) -> OutputError:
    """The operating system's refusal in our words."""
    step = "check who may write there, and that the file system is sound"
    if error.errno in _FULL:
        step = "free some space"
    elif error.errno == errno.EROFS:
        step = "the file system is read-only: mount it so that it can be written, or look for errors of the disk"
    return OutputError(f"cannot write {path}", seen=error.strerror or str(error), next_step=step)


class Disk:
    """Changes files; all methods raise :class:`OutputError` when the system refuses.

    Args:
        before: called with a word and a path before every change; tests end the process there.
    """

    def __init__(self, before: Callable[[str, Path], None] = lambda word, path: None) -> None:
        self._before = before

    @contextlib.contextmanager
    def _change(self, word: str, path: Path) -> Iterator[None]:
        try:
            self._before(word, path)
            yield
        except OSError as error:
            raise disk_error(path, error) from error

    def write(self, path: Path, content: bytes, mode: int = 0o600) -> None:
        """Put a file in its place, whole."""
        temporary = path.with_name(f".{path.name}{_TEMPORARY}")
        with self._change("write", temporary), self._fresh(temporary, mode) as stream:
            stream.write(content)
        with self._change("rename", path):
            os.replace(temporary, path)
        self.flush(path.parent)

    @contextlib.contextmanager
    def _fresh(self, path: Path, mode: int) -> Iterator[BinaryIO]:
        """A new file, never through a link, flushed at the end; removed if that fails."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        try:
            with os.fdopen(number, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise

    @contextlib.contextmanager
    def adding(self, path: Path) -> Iterator[Callable[[bytes], None]]:
        """Bytes at a file's end, kept also when it ends early: a download that can go on later."""
        with self._change("add", path):
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
        with os.fdopen(number, "ab", buffering=0) as stream:

            def add(chunk: bytes) -> None:
                with self._change("add", path):
                    while chunk:
                        chunk = chunk[stream.write(chunk) :]

            try:
                yield add
            finally:
                with self._change("flush", path):
                    os.fsync(stream.fileno())

    def folder(self, path: Path, mode: int = 0o755) -> None:
        """Make a folder, and those above it."""
        if path.is_dir():
            return
        self.folder(path.parent, mode)
        with self._change("folder", path), contextlib.suppress(FileExistsError):
            path.mkdir(mode=mode)
        self.flush(path.parent)

    def place(self, source: Path, target: Path, *, executable: bool) -> None:
        """The same content at a second place: a hard link where owner, mode and file system allow it, else a copy."""
        mode = 0o755 if executable else 0o644
        seen = source.stat()
        if seen.st_mode & 0o777 == mode and seen.st_uid == os.geteuid():
            with self._change("link", target), contextlib.suppress(OSError):
                os.link(source, target, follow_symlinks=False)
                return
        with self._change("copy", target), source.open("rb") as whence, self._fresh(target, mode) as stream:
            shutil.copyfileobj(whence, stream, 1 << 20)
            os.fchmod(stream.fileno(), mode)

    def rename(self, source: Path, target: Path) -> None:
        """Move a file or folder; its new folder is flushed."""
        with self._change("rename", target):
            os.rename(source, target)
        self.flush(target.parent)

    def chmod(self, path: Path, mode: int) -> None:
        """Set who may do what."""
        with self._change("chmod", path):
            os.chmod(path, mode)

    def remove(self, path: Path) -> None:
        """Remove a file or a folder with all that is in it, if it is there."""
        with self._change("remove", path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def point(self, link: Path, target: str) -> None:
        """Make a symbolic link lead elsewhere, in one step; to an empty target: remove it."""
        if not target:
            self.remove(link)
            self.flush(link.parent)
            return
        temporary = link.with_name(f".{link.name}{_TEMPORARY}")
        self.remove(temporary)
        with self._change("symlink", temporary):
            os.symlink(target, temporary)
        with self._change("rename", link):
            os.replace(temporary, link)
        self.flush(link.parent)

    def flush(self, path: Path) -> None:
        """Have a file's content, or a folder's names, on the medium."""
        with self._change("flush", path):
            number = os.open(path, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)

    def settle(self, folder: Path) -> None:
        """Flush a folder with all that is in it, deepest first; for what others have written."""
        for place, _, names in os.walk(folder, topdown=False):
            for name in names:
                path = Path(place, name)
                if not path.is_symlink():
                    self.flush(path)
            self.flush(Path(place))


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the agent's lock; it falls when the process ends, however it ends.

    Raises:
        ConfigError: another agent has it.
        OutputError: the file can neither be opened nor made.
    """
    import fcntl

    try:
        number = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise disk_error(path, error) from error
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(number)
        raise ConfigError(
            f"wanted to work in {path.parent}", seen="another agent does", next_step="wait for it, or stop it"
        ) from error
    try:
        yield
    finally:
        os.close(number)
