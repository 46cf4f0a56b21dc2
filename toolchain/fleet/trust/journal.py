"""Several files that change together, whatever happens in between.

New contents are first written down as a whole in one file, the journal; then they go to their places in order; then the
journal goes. Whoever was killed in between left either nothing, or a journal that the next writer carries out. Readers
of the repository never need it: the last file of the order is the one that makes the others count.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from profiles.errors import VerificationError
from targets.files import output_error, remove, write_bytes

FILE = "journal.json"
#: What others may read; everything else may hold a secret, such as the password of the database in ``fleet.toml``.
SERVED = "repository/"


def write_together(home: Path, files: Sequence[tuple[str, bytes]]) -> None:
    """Put contents in their places below ``home``, in order, so that a writer who is killed can be continued.

    Raises:
        OutputError: the disk refuses; unless the journal could not be written, :func:`replay` can go on later.
    """
    entries = [[path, base64.b64encode(content).decode("ascii")] for path, content in files]
    body = json.dumps(entries, separators=(",", ":"))
    digest = hashlib.sha256(body.encode()).hexdigest()
    put(home / FILE, json.dumps({"files": entries, "sha256": digest}, separators=(",", ":")).encode(), private=True)
    replay(home)


def replay(home: Path) -> bool:
    """Carry out the journal that a killed writer left; False when there is none.

    Raises:
        VerificationError: the journal is damaged.
        OutputError: the disk refuses.
    """
    path = home / FILE
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return False
    for name, content in _entries(path, text):
        put(home / name, content, private=not name.startswith(SERVED))
    remove(path)
    flush(home)
    return True


def _entries(path: Path, text: bytes) -> list[tuple[str, bytes]]:
    try:
        outer = json.loads(text)
        entries = outer["files"]
        if hashlib.sha256(json.dumps(entries, separators=(",", ":")).encode()).hexdigest() != outer["sha256"]:
            raise ValueError("it was changed")
        return [(str(name), base64.b64decode(content)) for name, content in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise VerificationError(f"{path} is damaged", seen=str(error), next_step="restore it from a copy") from error


def put(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write a file so that it is there, under its name, after a power cut too; ``private`` is mode 0600."""
    write_bytes(path, content, private=private)
    flush(path.parent)


def flush(folder: Path) -> None:
    """Make renames in a folder outlive a power cut."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise output_error(folder, error) from error
