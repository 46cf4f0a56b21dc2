"""Writing files and folders so that whoever reads sees the old or the new, never half of one."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from profiles.errors import OutputError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


#: The disk is full, a quota or size limit is reached, or it is read-only.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR)


def output_error(path: Path, error: OSError) -> OutputError:
    """The operating system's refusal in our words."""
    mend = "free some space" if error.errno in DISK else "check who may write there"
    if error.errno in _IN_THE_WAY:
        mend = "a file is in the way of a folder: move it"
    return OutputError(
        f"cannot write {path}",
        seen=error.strerror or str(error),
        next_step=f"{mend}, or choose another folder with --out",
    )


def write_json(path: Path, data: Any) -> None:
    """Write JSON through a temporary file.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    write_bytes(path, (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def write_bytes(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write a file through a temporary one next to it, flushed to the disk before it takes its place.

    Args:
        path: where.
        content: what.
        private: mode 0600 from the first moment, in place of what the umask leaves.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600 if private else 0o666)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):  # it has taken its place, or never came to be
            temporary.unlink()


def remove(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(path, error) from error


def publish(staging: Path, final: Path) -> None:
    """Put a finished bundle in its place, on the same file system; what was there before goes.

    Where the kernel can swap two paths (renameat2(2), Linux 3.15 and later), readers find the old bundle
    or the new one at every moment; elsewhere there is an instant with none.

    Raises:
        OutputError: the place cannot be written, or holds something that is not a bundle.
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(final):
            check_replaceable(final)
            _replace(staging, final)
        else:
            staging.rename(final)
    except OSError as error:
        raise output_error(final, error) from error


def check_replaceable(final: Path) -> None:
    """Check that a bundle may be put there.

    Raises:
        OutputError: there is something that is not a bundle.
    """
    empty = final.is_dir() and not any(final.iterdir())
    if os.path.lexists(final) and not empty and not (final / "manifest.json").is_file():
        raise OutputError(
            f"wanted to write the bundle to {final}",
            seen="something is there that is not a bundle",
            next_step="move it away, or choose another folder with --out",
        )


def _replace(staging: Path, final: Path) -> None:
    if _exchange(staging, final):
        _remove(staging)
        return
    retired = final.with_name(f".{final.name}.{os.getpid()}-{secrets.token_hex(4)}.old")
    final.rename(retired)
    try:
        staging.rename(final)
    except OSError:
        retired.rename(final)
        raise
    _remove(retired)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two paths in one step; False where this system cannot."""
    swap = getattr(ctypes.CDLL(None), "renameat2", None)
    if swap is None:
        return False
    return bool(swap(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
