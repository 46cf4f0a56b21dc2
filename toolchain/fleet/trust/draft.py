"""The next state of a repository: edited roles get their next version, everything above them follows, all is signed."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Key, Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from profiles.errors import ConfigError
from toolchain.fleet.settings import Settings
from toolchain.fleet.trust.keyfiles import Unavailable
from toolchain.fleet.trust.keys import KeyRing
from toolchain.fleet.trust.roles import PATHS
from toolchain.fleet.trust.seen import seen_text
from toolchain.fleet.trust.state import State, metadata_path, target_file

_IN_SNAPSHOT = ("targets", *PATHS)


class Draft:
    """Changes to a state, until :meth:`files` signs them.

    Attributes:
        settings: may be replaced before signing, where keys change.

    Args:
        state: what they are made to.
        settings: says how long signatures are good for, and with which keys to sign.
        keys: that sign.
        now: UTC.
    """

    def __init__(self, state: State, settings: Settings, keys: KeyRing, now: datetime.datetime) -> None:
        self._old = state
        self.settings = settings
        self._keys = keys
        self._now = now
        self._new: dict[str, Metadata[Any]] = {}
        self._contents: dict[str, bytes] = {}

    def renew(self, role: str) -> Metadata[Any]:
        """The role's next version, to be changed at will."""
        if role not in self._new:
            new = Metadata.from_bytes(self._old.roles[role].to_bytes())
            new.signatures.clear()
            new.signed.version += 1
            new.signed.expires = self._now + datetime.timedelta(days=self.settings.role(role).expires_days)
            self._new[role] = new
        return self._new[role]

    def root(self) -> Root:
        """The next root."""
        root: Root = self.renew("root").signed
        return root

    def targets(self, role: str = "targets") -> Targets:
        """The next version of ``targets``, or of a role that it delegates to."""
        targets: Targets = self.renew(role).signed
        return targets

    def versions(self) -> bytes:
        """The versions of root and timestamp that this draft leads to, for :mod:`toolchain.fleet.trust.seen`."""
        after = {**self._old.roles, **self._new}
        return seen_text(after["root"].signed.version, after["timestamp"].signed.version)

    def add_target(self, role: str, path: str, content: bytes) -> None:
        """Have a role sign a file."""
        info = TargetFile.from_data(path, content, ["sha256"])
        self.targets(role).targets[path] = info
        self._contents[target_file(info)] = content

    def superseded(self) -> list[str]:
        """Files below the repository that nothing names any more once this draft is written; after :meth:`files`."""
        versions = {role: self._old.roles[role].signed.version for role in self._new}
        found = [metadata_path(role, each) for role, each in versions.items() if role not in ("root", "timestamp")]
        for role in PATHS:
            old = self._old.targets(role).targets
            new = self.targets(role).targets if role in self._new else old
            found += [target_file(info) for path, info in old.items() if new.get(path) != info]
        return found

    def files(self) -> list[tuple[str, bytes]]:
        """Sign, and give all new files in the order in which they may be written; a root comes last.

        Raises:
            ConfigError: keys that must sign cannot.
        """
        signed = [(role, self._sign(role)) for role in _IN_SNAPSHOT if role in self._new]
        if signed or "snapshot" in self._new:
            snapshot: Snapshot = self.renew("snapshot").signed
            for role, data in signed:
                version = self._new[role].signed.version
                snapshot.meta[f"{role}.json"] = MetaFile.from_data(version, data, ["sha256"])
            signed.append(("snapshot", self._sign("snapshot")))
            timestamp: Timestamp = self.renew("timestamp").signed
            timestamp.snapshot_meta = MetaFile.from_data(snapshot.version, signed[-1][1], ["sha256"])
        if "timestamp" in self._new:
            signed.append(("timestamp", self._sign("timestamp")))
        if "root" in self._new:
            signed.append(("root", self._sign("root")))
        places = [(metadata_path(role, self._new[role].signed.version), data) for role, data in signed]
        return [*self._contents.items(), *places]

    def _sign(self, role: str) -> bytes:
        """Sign for the next state, and where root changes for the old one too: clients may stand on either side."""
        metadata = self._new[role]
        after = _delegator(role, self._new, self._old)
        sign(metadata, role, after, self.settings, self._keys)
        if "root" in self._new and role not in PATHS:
            before = self._old.root
            try:
                sign(metadata, role, before, self.settings, self._keys)
            except ConfigError:
                if role == "root":
                    raise
        return metadata.to_bytes()


def _delegator(role: str, new: dict[str, Metadata[Any]], old: State) -> Root | Targets:
    above = "targets" if role in PATHS else "root"
    found: Root | Targets = new[above].signed if above in new else old.delegator(role)
    return found


def sign(metadata: Metadata[Any], role: str, delegator: Root | Targets, settings: Settings, keys: KeyRing) -> None:
    """Add signatures until as many of the role's keys have signed as must.

    Raises:
        ConfigError: too few of them can.
    """
    wanted = delegator.get_delegated_role(role)
    public = keys.known(settings.uris())
    reasons = []
    for uri in candidates(settings, role, public):
        key = public[uri]
        if len(set(metadata.signatures) & set(wanted.keyids)) >= wanted.threshold:
            break
        if key.keyid in wanted.keyids and key.keyid not in metadata.signatures:
            try:
                metadata.sign(keys.signer(uri, key), append=True)
            except (Unavailable, UnsignedMetadataError) as error:
                reasons.append(str(error))
    try:
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except UnsignedMetadataError as error:
        raise ConfigError(
            f"wanted {wanted.threshold} of {len(wanted.keyids)} keys to sign for {role}",
            seen="; ".join(reasons) or "the other keys are not in fleet.toml and keys/public.json",
            next_step="bring the keys where fleet.toml says they are",
        ) from error


def candidates(settings: Settings, role: str, public: Mapping[str, Key]) -> list[str]:
    """URIs that may hold a key of a role: what ``fleet.toml`` says, then those of keys that it does not place."""
    first = [uri for uri in settings.role(role).keys if uri in public]
    placed = {public[uri].keyid for uri in settings.uris() if uri in public}
    return [*first, *(uri for uri, key in public.items() if key.keyid not in placed)]
