"""Plans and releases that are to be trusted: python-tuf's client over our transport, and floors that survive it.

python-tuf keeps its metadata in ``metadata/`` and refuses older versions than those. Should that folder be lost or cut
short by a power failure, the floors in our state refuse them still. Floors fall when root has changed the keys of
timestamp or snapshot: that is how a repository recovers from a fast-forward attack (TUF specification, 5.3.11).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from securesystemslib.exceptions import StorageError
from tuf.api import exceptions as tuf
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.updater import Updater

from profiles.errors import ConfigError, VerificationError
from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.agent.keep import SEQUENCE
from toolchain.fleet.agent.protocols import Transport
from toolchain.fleet.agent.state import State
from toolchain.fleet.agent.tuf_client import Fetcher, Translated, date
from toolchain.fleet.documents.plan import Plan, plan_path
from toolchain.fleet.documents.release import Release, release_path
from toolchain.fleet.documents.strict import MOST_BYTES, from_bytes

#: Root metadata of that many rotations is read in one go.
_ROTATIONS = 256
_TOP = "timestamp and snapshot"


class TufTrust:
    """Everything below ``root.json``, which came with the device.

    Args:
        folder: the agent's; holds ``root.json`` and ``metadata/``.
        transport: to the repository.
        disk: for changes.
        product, channel: what this device follows.
        now: seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        transport: Transport,
        disk: Disk,
        *,
        product: str,
        channel: str,
        now: Callable[[], float],
    ) -> None:
        self._home, self._metadata, self._transport = folder, folder / "metadata", transport
        self._product, self._channel, self._disk, self._now = product, channel, disk, now
        self._updater: Updater | None = None
        self._known: set[int] = set()

    def plan(self, state: State) -> tuple[Plan, Mapping[str, int], Mapping[str, str]]:
        """See :class:`~toolchain.fleet.agent.protocols.Trust`."""
        self._check_clock(state)
        self._disk.folder(self._metadata)
        keys, floors = self._refreshed(state)
        path = plan_path(self._product, self._channel)
        data = self._target(path)
        if data is None:
            raise ConfigError(
                f"wanted a rollout for product '{self._product}' on channel '{self._channel}'",
                seen="the repository has none",
                next_step="check product and channel in agent.toml",
            )
        plan = from_bytes(Plan, data)
        if (plan.product, plan.channel) != (self._product, self._channel):
            raise VerificationError(
                "a plan must be for this product and channel", seen=f"{plan.product} on {plan.channel}"
            )
        keys = {**keys, SEQUENCE: self._signers_of(path)}
        floor = state.floors.get(SEQUENCE, 0) if keys[SEQUENCE] == state.keys.get(SEQUENCE, keys[SEQUENCE]) else 0
        _hold("the plan's sequence", plan.sequence, floor)
        return plan, {**floors, SEQUENCE: plan.sequence}, keys

    def release(self, version: int) -> Release:
        """See :class:`~toolchain.fleet.agent.protocols.Trust`; :meth:`plan` comes first."""
        data = self._target(release_path(self._product, version))
        if data is None:
            raise VerificationError(
                f"wanted release {version} of {self._product}", seen="the repository has none under this number"
            )
        release = from_bytes(Release, data)
        if (release.product, release.version) != (self._product, version):
            raise VerificationError(
                f"wanted release {version} of {self._product}", seen=f"{release.version} of {release.product}"
            )
        self._known.add(version)
        return release

    def knows(self, version: int) -> bool:
        """See :class:`~toolchain.fleet.agent.protocols.Trust`."""
        return version in self._known

    def _check_clock(self, state: State) -> None:
        """Expiry means nothing when the clock is behind; a day's grace for small corrections."""
        now = self._now()
        if now < max(state.latest, _BUILT) - 86400:
            raise ConfigError(
                "wanted a clock that is right: without one, old metadata would pass for new",
                seen=f"it says {date(now)}, but it was {date(max(state.latest, _BUILT))} already",
                next_step="set the clock (NTP); nothing is installed until then, and what runs goes on",
            )

    def _refreshed(self, state: State) -> tuple[dict[str, str], dict[str, int]]:
        """Refresh, and hold the result against the floors; gives new keys and floors."""
        try:
            self._refresh()
        except VerificationError:
            if not self._were_rotated(state):
                raise
            for name in ("timestamp.json", "snapshot.json"):
                self._disk.remove(self._metadata / name)
            self._refresh()
        self._disk.settle(self._metadata)
        keys, seen = {_TOP: self._keys()}, self._versions()
        floors = state.floors if keys[_TOP] == state.keys.get(_TOP, keys[_TOP]) else {}
        for name, version in seen.items():
            _hold(f"the version of {name}", version, floors.get(name, 0))
        return keys, {**{name: floor for name, floor in floors.items() if name != SEQUENCE}, **seen}

    def _were_rotated(self, state: State) -> bool:
        """Whether root has changed the keys of timestamp or snapshot since the floors were learned."""
        try:
            return _TOP in state.keys and state.keys[_TOP] != self._keys()
        except VerificationError:
            return False  # there is no root yet

    def _refresh(self) -> None:
        base = "tuf://repository/"
        fetcher = Fetcher(self._transport, base, self._metadata)
        with Translated(fetcher):
            updater = Updater(
                str(self._metadata),
                f"{base}metadata/",
                fetcher=fetcher,
                config=UpdaterConfig(max_root_rotations=_ROTATIONS),
                bootstrap=self._first_root(),
            )
            updater.refresh()
        self._updater, self._fetcher = updater, fetcher

    def _first_root(self) -> bytes:
        path = self._home / "root.json"
        try:
            return path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"wanted the first root metadata at {path}",
                seen=error.strerror or str(error),
                next_step="copy it there from: edgewright fleet keys list, or run: edgewright-agent enroll",
            ) from error

    def _target(self, path: str) -> bytes | None:
        """A target's bytes, with hash and size checked; None where the repository has no such target."""
        assert self._updater is not None
        with Translated(self._fetcher):
            info = self._updater.get_targetinfo(path)
            if info is None:
                return None
            if info.length > MOST_BYTES:
                raise VerificationError(f"{path} is too large", seen=f"{info.length} bytes", allowed=f"{MOST_BYTES}")
            data = self._fetcher.download_bytes(f"{self._fetcher.base}targets/{_hashed(info)}", info.length)
            info.verify_length_and_hashes(data)
        return data

    def _root(self) -> Root:
        root: Root = _signed(self._metadata / "root.json", Root)
        return root

    def _keys(self) -> str:
        """A fingerprint of the keys of timestamp and snapshot, as the newest root says."""
        root = self._root()
        return _fingerprint([*root.roles[Timestamp.type].keyids, "", *root.roles[Snapshot.type].keyids])

    def _versions(self) -> dict[str, int]:
        timestamp, snapshot = (_signed(self._metadata / f"{kind.type}.json", kind) for kind in (Timestamp, Snapshot))
        found = {name: each.version for name, each in snapshot.meta.items()}
        return {**found, "timestamp.json": timestamp.version, "snapshot.json": snapshot.version}

    def _signers_of(self, path: str) -> str:
        """A fingerprint of the keys that may sign a target."""
        delegations = _signed(self._metadata / "targets.json", Targets).delegations
        if delegations is None or delegations.roles is None:
            return _fingerprint(self._root().roles[Targets.type].keyids)
        names = [name for name, _ in delegations.get_roles_for_target(path)]
        return _fingerprint([key for name in names for key in sorted(delegations.roles[name].keyids)])


#: No agent of this version was made before this: 2026-11-01, in seconds since 1970.
_BUILT = 1793491200.0


def _hold(what: str, seen: int, floor: int) -> None:
    if seen < floor:
        raise VerificationError(
            f"{what} must not fall: that would be a rollback attack",
            seen=str(seen),
            allowed=f"{floor} or more",
            next_step="look for an old mirror, or for somebody in between",
        )


def _signed(path: Path, kind: Any) -> Any:
    """The signed part of metadata that python-tuf has verified and kept."""
    try:
        return Metadata.from_file(str(path)).signed
    except (OSError, tuf.RepositoryError, StorageError) as error:
        raise VerificationError(f"{path.name} cannot be read back", seen=str(error)[:200]) from error


def _fingerprint(names: list[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _hashed(info: TargetFile) -> str:
    """Where a target lies: with its hash before its name (TUF specification, 6.2)."""
    folder, _, name = info.path.rpartition("/")
    return f"{folder}/{next(iter(info.hashes.values()))}.{name}"
