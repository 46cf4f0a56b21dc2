"""A new fleet: its keys, and version 1 of everything."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp
from tuf.api.metadata import Role as TufRole

from profiles.errors import ConfigError
from targets.files import write_bytes
from toolchain.fleet.settings import FILE, Role, Roles, Settings, settings_text
from toolchain.fleet.trust.draft import sign
from toolchain.fleet.trust.keyfiles import public_from_pem
from toolchain.fleet.trust.keys import KeyRing
from toolchain.fleet.trust.roles import DEFAULTS, ONLINE, PATHS, ROLES, delegations, known_role
from toolchain.fleet.trust.state import BLOBS, TARGETS, metadata_path

#: Of one role, at ``init``.
MOST_KEYS = 20


def make_roles(
    folder: Path,
    passphrase: Callable[[str], str],
    external: Sequence[tuple[str, str, bytes]],
    sizes: Mapping[str, tuple[int, int]],
) -> tuple[KeyRing, Roles]:
    """Keys for every role, and what ``fleet.toml`` says of them.

    Raises:
        ConfigError: an unknown role, a key that is none, or a passphrase that is too short.
    """
    ring = KeyRing(folder, passphrase)
    os.makedirs(folder / "keys", mode=0o700)
    given: dict[str, list[str]] = {}
    for role, uri, pem in external:
        known_role(role)
        ring.remember({uri: public_from_pem(pem, uri)})
        given.setdefault(role, []).append(uri)
    defaults = {name: (each.threshold, each.keys) for name, each in DEFAULTS.items()}
    numbers = defaults | {known_role(role): size for role, size in sizes.items()}
    return ring, Roles(**{role: _role(ring, role, given.get(role, []), *numbers[role]) for role in ROLES})


def _role(ring: KeyRing, name: str, external: list[str], threshold: int, keys: int) -> Role:
    if not 1 <= threshold <= keys <= MOST_KEYS:
        raise ConfigError(
            f"wanted keys for {name}",
            seen=f"{threshold} of {keys} must sign",
            allowed=f"1 of 1 to {MOST_KEYS} of {MOST_KEYS}",
        )
    if external and len(external) < threshold:
        raise ConfigError(
            f"{threshold} keys must sign for {name}",
            seen=f"{len(external)} of --external",
            next_step=f"give more, or say --keys {name}={len(external)}/{len(external)}",
        )
    made = [] if external else [ring.generate(name, encrypt=name not in ONLINE)[0] for _ in range(keys)]
    uris = tuple(external or made)
    return Role(threshold=threshold, keys=uris, expires_days=DEFAULTS[name].expires_days)


def found_repository(folder: Path, settings: Settings, ring: KeyRing) -> None:
    """Write ``fleet.toml``, the first root, and an empty repository.

    Raises:
        ConfigError: a key cannot sign.
    """
    public = ring.public()
    keys = {role: [public[uri] for uri in settings.role(role).keys] for role in ROLES}
    root = _root(settings, keys)
    targets = Targets(expires=_expires(settings, "targets"))
    targets.delegations = delegations(keys, {role: settings.role(role).threshold for role in PATHS})
    signed = {"root": _signed(root, "root", root, settings, ring)}
    signed["targets"] = _signed(targets, "targets", root, settings, ring)
    for name in PATHS:
        signed[name] = _signed(Targets(expires=_expires(settings, name)), name, targets, settings, ring)
    meta = {f"{name}.json": MetaFile.from_data(1, signed[name], ["sha256"]) for name in ("targets", *PATHS)}
    snapshot = Snapshot(expires=_expires(settings, "snapshot"), meta=meta)
    signed["snapshot"] = _signed(snapshot, "snapshot", root, settings, ring)
    link = MetaFile.from_data(1, signed["snapshot"], ["sha256"])
    timestamp = Timestamp(expires=_expires(settings, "timestamp"), snapshot_meta=link)
    signed["timestamp"] = _signed(timestamp, "timestamp", root, settings, ring)
    _write(folder, settings, signed)


def _root(settings: Settings, keys: Mapping[str, list[Key]]) -> Root:
    names = [role for role in ROLES if role not in PATHS]
    roles = {name: TufRole([key.keyid for key in keys[name]], settings.role(name).threshold) for name in names}
    known = {key.keyid: key for name in names for key in keys[name]}
    return Root(expires=_expires(settings, "root"), keys=known, roles=roles, consistent_snapshot=True)


def _expires(settings: Settings, role: str) -> datetime.datetime:
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return now + datetime.timedelta(days=settings.role(role).expires_days)


def _signed(
    body: Root | Targets | Snapshot | Timestamp,
    role: str,
    delegator: Root | Targets,
    settings: Settings,
    ring: KeyRing,
) -> bytes:
    metadata: Metadata[Any] = Metadata(body)
    sign(metadata, role, delegator, settings, ring)
    return metadata.to_bytes()


def _write(folder: Path, settings: Settings, signed: Mapping[str, bytes]) -> None:
    for name in (TARGETS, BLOBS):
        os.makedirs(folder / "repository" / name)
    for role, data in signed.items():
        write_bytes(folder / "repository" / metadata_path(role, 1), data)
    write_bytes(folder / "root.json", signed["root"])
    write_bytes(folder / FILE, settings_text(settings).encode(), private=True)
