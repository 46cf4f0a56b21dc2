"""The two slots, ``current``, and what lies in them.

A slot is a folder with the packed files of one bundle and ``slot.json``, which says what they must be. It is written
last, so that a slot with a record is whole; ``committed`` is added when the release has passed its soak.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from profiles.errors import VerificationError
from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.agent.state import SLOTS
from toolchain.fleet.documents.release import File, Packed
from toolchain.fleet.documents.strict import from_bytes, to_bytes

RECORD, COMMITTED, MANIFEST = "slot.json", "committed", "bundle/manifest.json"
#: Bytes of a manifest, at most.
_MOST_MANIFEST = 16 << 20


@dataclasses.dataclass(frozen=True)
class Record:
    """What a slot holds: the release's version, the plan's sequence, and the bundle."""

    release: int
    sequence: int
    bundle: Packed


class Slots:
    """The slots below the agent's folder."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self.home, self._disk = folder, disk

    def path(self, slot: str) -> Path:
        """The slot's folder."""
        return self.home / "slots" / slot

    def pointed(self) -> str:
        """The slot that ``current`` leads to; empty for none, or for something else."""
        try:
            target = Path(os.readlink(self.home / "current"))
        except OSError:
            return ""
        return target.name if target in [Path("slots", name) for name in SLOTS] else ""

    def point(self, slot: str) -> None:
        """Lead ``current`` to a slot, or nowhere."""
        self._disk.point(self.home / "current", f"slots/{slot}" if slot else "")

    def record(self, slot: str) -> Record | None:
        """What a slot should hold; None where it was never whole, or the record is damaged."""
        from toolchain.fleet.agent.keep import unsealed

        try:
            content = unsealed((self.path(slot) / RECORD).read_bytes())
            return None if content is None else from_bytes(Record, content)
        except (OSError, VerificationError):
            return None

    def records(self) -> dict[str, Record]:
        """Slots with a sound record."""
        found = {name: self.record(name) for name in SLOTS}
        return {name: record for name, record in found.items() if record is not None}

    def is_committed(self, slot: str) -> bool:
        """Whether its release has passed its soak here."""
        return (self.path(slot) / COMMITTED).exists()

    def commit(self, slot: str) -> None:
        """Mark it."""
        self._disk.write(self.path(slot) / COMMITTED, b"", 0o644)

    def fill(self, slot: str, record: Record, source_of: Callable[[File], Path]) -> None:
        """Make a slot of files that are here already; the old content of the slot is there until the new is whole."""
        from toolchain.fleet.agent.keep import sealed

        staging = self.path(slot).with_name(f"{slot}.new")
        self._disk.remove(staging)
        for file in record.bundle.files:
            target = staging / file.path
            self._disk.folder(target.parent)
            self._disk.place(source_of(file), target, executable=file.executable)
        if trouble := damaged(staging, record.bundle):
            raise VerificationError(f"{trouble[0].path} is not what the release says", seen="it changed on this disk")
        check_manifest(staging, record.bundle)
        self._disk.settle(staging)
        self._disk.write(staging / RECORD, sealed(to_bytes(record)), 0o644)
        self._disk.remove(self.path(slot))
        self._disk.rename(staging, self.path(slot))

    def keep_record(self, slot: str, record: Record) -> None:
        """Write the record anew, where it is damaged or of something else."""
        from toolchain.fleet.agent.keep import sealed

        if self.record(slot) != record:
            self._disk.remove(self.path(slot) / RECORD)
            self._disk.write(self.path(slot) / RECORD, sealed(to_bytes(record)), 0o644)

    def mend(self, slot: str, file: File, source: Path) -> None:
        """Put one file of a slot right, in one step."""
        target = self.path(slot) / file.path
        beside = self.path(slot) / f".mending-{file.content.sha256}"
        self._disk.folder(target.parent)
        self._disk.remove(beside)
        self._disk.place(source, beside, executable=file.executable)
        if target.is_dir() and not target.is_symlink():
            self._disk.remove(target)
        self._disk.rename(beside, target)


def is_content(path: Path, file: File) -> bool:
    """Whether a plain file holds exactly this."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size != file.content.size:
            return False
        return sha256_of(path) == file.content.sha256
    except OSError:
        return False


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def damaged(folder: Path, bundle: Packed) -> list[File]:
    """Files that are gone, or not what the release says."""
    return [file for file in bundle.files if not is_content(folder / file.path, file)]


def check_manifest(folder: Path, bundle: Packed) -> None:
    """Compare the release with the bundle's own manifest: both must speak of the same files.

    Raises:
        VerificationError: they do not.
    """
    named = {file.path: file.content.sha256 for file in bundle.files}
    if named.get(MANIFEST) != bundle.digest:
        raise VerificationError("the release's digest must be its manifest's", seen=named.get(MANIFEST, "no manifest"))
    try:
        with (folder / MANIFEST).open("rb") as stream:
            files = dict(json.loads(stream.read(_MOST_MANIFEST))["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise VerificationError("the bundle's manifest is damaged", seen=f"{type(error).__name__}: {error}") from error
    for name, digest in files.items():
        if named.get(f"bundle/{name}") != digest:
            raise VerificationError(f"manifest and release must agree on {name}"[:300], seen="another hash, or no file")
