"""Engines on the device's disk: written whole or not at all, checked before they are used. Travels to the device.

Below the root there is one folder per job (model, plan, batch), and in it, for each machine the job was compiled on,
``NAME.engine`` with its description ``NAME.json``; ``timing`` has the compiler's timing caches.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError
from targets.tensorrt.store.engine_key import EngineKey, Site
from targets.tensorrt.store.engine_lock import VARIABLE, write

SCHEMA = 1
TIMING = "timing"
_LETTERS = 24  # of a SHA-256 in a file name; the description holds everything and is compared


@dataclasses.dataclass(frozen=True)
class Entry:
    """One kept engine.

    Attributes:
        path: of the engine.
        key: what it depends on.
        size: bytes.
        sha256: of the engine.
        seconds: that compiling it took.
        notes: what the compiler said.
    """

    path: Path
    key: EngineKey
    size: int
    sha256: str
    seconds: float
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**dataclasses.asdict(self), "path": str(self.path), "notes": list(self.notes)}

    def damage(self) -> str:
        """What is wrong with the file, or nothing."""
        try:
            content = self.path.read_bytes()
        except OSError as error:
            return error.strerror or str(error)
        if len(content) != self.size:
            return f"{len(content)} bytes instead of {self.size}"
        return "" if hashlib.sha256(content).hexdigest() == self.sha256 else "its SHA-256 differs"


def default_root(environ: Mapping[str, str] = os.environ) -> Path:
    """``EDGEWRIGHT_ENGINES``, or ``edgewright/engines`` in the user's cache folder (XDG Base Directory).

    Raises:
        ConfigError: the variable is not set, and this user has no home folder.
    """
    if environ.get(VARIABLE):
        return Path(environ[VARIABLE])
    caches = environ.get("XDG_CACHE_HOME", "")
    base = Path(caches) if os.path.isabs(caches) else Path(os.path.expanduser("~"), ".cache")
    if not base.is_absolute():
        raise ConfigError(
            "wanted a folder to keep engines in",
            seen="this user has no home folder",
            next_step=f"name one with {VARIABLE}=/path",
        )
    return base / "edgewright" / "engines"


def place(root: Path, key: EngineKey) -> Path:
    """Where the engine of a key is kept."""
    folder = f"batch{key.batch}-{key.job()[:_LETTERS]}"
    return root / folder / f"{key.site.digest()[:_LETTERS]}.engine"


def find(root: Path, key: EngineKey) -> Entry | None:
    """The entry of exactly that key; its engine may still be damaged."""
    entry = read_entry(place(root, key))
    return entry if entry and entry.key == key else None


def alternatives(root: Path, key: EngineKey) -> list[Entry]:
    """Engines of the same job for other machines, drivers or versions, newest first."""
    found = [entry for entry in map(read_entry, place(root, key).parent.glob("*.engine")) if entry]
    return sorted((entry for entry in found if entry.key != key), key=_age)


def _age(entry: Entry) -> tuple[float, str]:
    try:
        return -entry.path.stat().st_mtime, entry.path.name
    except OSError:  # it is gone
        return 0.0, entry.path.name


def read_entry(engine: Path) -> Entry | None:
    """The description beside an engine; None where there is none that can be read."""
    try:
        data = json.loads(engine.with_suffix(".json").read_text(encoding="utf-8"))
        if data.pop("schema") != SCHEMA:
            return None
        return Entry(engine, EngineKey.from_dict(data.pop("key")), notes=tuple(data.pop("notes")), **data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def keep(root: Path, key: EngineKey, engine: bytes, seconds: float, notes: tuple[str, ...]) -> Entry:
    """Write an engine and then its description, each in one step.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    entry = Entry(place(root, key), key, len(engine), hashlib.sha256(engine).hexdigest(), seconds, notes)
    data = {"schema": SCHEMA, **entry.as_dict()}
    del data["path"]
    description = json.dumps(data, indent=1) + "\n"
    for path, content in ((entry.path, engine), (entry.path.with_suffix(".json"), description.encode("ascii"))):
        write(path, content)
    return entry


def timing_cache(root: Path, site: Site) -> bytes:
    """What the compiler measured before on this machine; empty when there is nothing, or it is damaged."""
    try:
        digest, _, content = _timing(root, site).read_bytes().partition(b"\n")
    except OSError:
        return b""
    return content if digest == hashlib.sha256(content).hexdigest().encode() else b""


def keep_timing_cache(root: Path, site: Site, content: bytes) -> None:
    """Keep it, with its hash in the first line.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    if content:
        write(_timing(root, site), hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def _timing(root: Path, site: Site) -> Path:
    return root / TIMING / f"{site.digest()[:_LETTERS]}.cache"
