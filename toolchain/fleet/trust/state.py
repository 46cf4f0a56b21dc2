"""What a repository says now, verified from the fleet's first root on before anything is signed on top of it.

Whoever can write to the web server's files could otherwise have us sign what they put there. Expiry does not count
here: what has expired must be renewable.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from profiles.errors import VerificationError
from toolchain.fleet.trust.roles import PATHS

METADATA, TARGETS, BLOBS = "metadata", "targets", "blobs"
TIMESTAMP = f"{METADATA}/timestamp.json"
_NEXT = "restore the repository from a copy; do not sign on top of it"

T = TypeVar("T", bound=Signed)


@dataclasses.dataclass(frozen=True)
class State:
    """Verified metadata of all roles, by their names."""

    roles: Mapping[str, Metadata[Any]]

    @property
    def root(self) -> Root:
        """The newest root."""
        return _signed(self.roles["root"], Root)

    @property
    def timestamp(self) -> Timestamp:
        """The newest timestamp."""
        return _signed(self.roles["timestamp"], Timestamp)

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that the timestamp names."""
        return _signed(self.roles["snapshot"], Snapshot)

    def targets(self, role: str = "targets") -> Targets:
        """``targets``, or a role that it delegates to."""
        return _signed(self.roles[role], Targets)

    def delegator(self, role: str) -> Root | Targets:
        """Who says which keys sign for a role."""
        return self.targets() if role in PATHS else self.root


def metadata_path(role: str, version: int) -> str:
    """The file of one version of a role's metadata; a timestamp has one for all (TUF specification, section 6.2)."""
    return TIMESTAMP if role == "timestamp" else f"{METADATA}/{version}.{role}.json"


def target_file(info: TargetFile) -> str:
    """The file of a target: its hash goes before its name (TUF specification, section 6.2)."""
    return f"{TARGETS}/{info.get_prefixed_paths()[0]}"


def load_state(repository: Path, first_root: bytes) -> State:
    """Read and verify the repository's metadata.

    Raises:
        VerificationError: a file is missing or damaged, or was not signed by those who should.
    """
    try:
        root = _newest_root(repository, Metadata[Root].from_bytes(first_root))
        timestamp = Metadata[Timestamp].from_bytes(_read(repository, TIMESTAMP))
        _verify(root.signed, "timestamp", timestamp)
        data = _read(repository, metadata_path("snapshot", timestamp.signed.snapshot_meta.version))
        timestamp.signed.snapshot_meta.verify_length_and_hashes(data)
        snapshot = Metadata[Snapshot].from_bytes(data)
        _verify(root.signed, "snapshot", snapshot)
        targets = _targets(repository, snapshot.signed, root.signed, "targets")
        delegated = {name: _targets(repository, snapshot.signed, targets.signed, name) for name in PATHS}
    except (OSError, RepositoryError, DeserializationError, ValueError, KeyError) as error:
        raise VerificationError(
            f"the repository {repository} is not whole, or was not signed by this fleet's keys",
            seen=f"{type(error).__name__}: {error}",
            next_step=_NEXT,
        ) from error
    fixed: dict[str, Metadata[Any]] = {"root": root, "timestamp": timestamp, "snapshot": snapshot, "targets": targets}
    return State({**fixed, **delegated})


def _newest_root(repository: Path, root: Metadata[Root]) -> Metadata[Root]:
    """Follow consecutive roots, each signed by the one before and by itself (TUF specification, section 5.3)."""
    _verify(root.signed, "root", root)
    for version in itertools.count(root.signed.version + 1):
        path = repository / metadata_path("root", version)
        if not path.exists():
            return root
        new = Metadata[Root].from_bytes(path.read_bytes())
        if new.signed.version != version:
            raise ValueError(f"{path.name} says that it is version {new.signed.version}")
        _verify(root.signed, "root", new)
        _verify(new.signed, "root", new)
        root = new
    raise AssertionError


def _targets(repository: Path, snapshot: Snapshot, delegator: Root | Targets, role: str) -> Metadata[Targets]:
    meta = snapshot.meta[f"{role}.json"]
    data = _read(repository, metadata_path(role, meta.version))
    meta.verify_length_and_hashes(data)
    found = Metadata[Targets].from_bytes(data)
    _verify(delegator, role, found)
    if found.signed.version != meta.version:
        raise ValueError(f"{role} is version {found.signed.version}, the snapshot names {meta.version}")
    return found


def _verify(delegator: Root | Targets, role: str, metadata: Metadata[Any]) -> None:
    delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)


def _read(repository: Path, path: str) -> bytes:
    return (repository / path).read_bytes()


def _signed(metadata: Metadata[Any], kind: type[T]) -> T:
    if not isinstance(metadata.signed, kind):
        raise VerificationError(f"wanted metadata of kind {kind.type}", seen=metadata.signed.type, next_step=_NEXT)
    return metadata.signed
