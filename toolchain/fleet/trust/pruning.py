"""Metadata and plans that were replaced go when no device can be in the middle of reading them any more.

A file's time of change is set when it is replaced, so that it stays for :data:`KEEP` from then on, however old it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from toolchain.fleet.trust.roles import ROLES
from toolchain.fleet.trust.state import METADATA, TARGETS, State, metadata_path, target_file

#: Seconds that a replaced file stays.
KEEP = 86400.0


def replaced_now(repository: Path, files: Iterable[str]) -> None:
    """Note that files are being replaced."""
    for name in files:
        with contextlib.suppress(OSError):  # it then goes a little early
            os.utime(repository / name)


def prune(repository: Path, state: State) -> int:
    """Remove old versions, except of root, which devices follow one by one; returns how many files went."""
    needed = {metadata_path(role, state.roles[role].signed.version) for role in ROLES}
    for role in ("releases", "rollouts"):
        needed |= {target_file(info) for info in state.targets(role).targets.values()}
    metadata = (path for path in (repository / METADATA).iterdir() if not _stays(path.name))
    plans = (repository / TARGETS / "rollouts").glob("*/*.json")
    return sum(_remove(path, repository, needed) for path in [*metadata, *plans])


def _stays(name: str) -> bool:
    return name == "timestamp.json" or re.fullmatch(r"\d+\.root\.json", name) is not None


def _remove(path: Path, repository: Path, needed: set[str]) -> bool:
    if path.relative_to(repository).as_posix() in needed:
        return False
    with contextlib.suppress(OSError):  # a file more or less harms nobody
        if time.time() - path.stat().st_mtime > KEEP:
            path.unlink()
            return True
    return False
