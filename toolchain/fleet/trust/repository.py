"""The signed repository: releases, plans, and how they get there. Every write is one step for those who read."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Sequence

from profiles.errors import ConfigError
from toolchain.fleet.documents import strict
from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.documents.release import Release
from toolchain.fleet.trust import rotation, writing
from toolchain.fleet.trust.pruning import prune
from toolchain.fleet.trust.roles import ONLINE, ROLES, known_role
from toolchain.fleet.trust.rows import Row, ending, ends_soon, rows
from toolchain.fleet.trust.state import State
from toolchain.fleet.trust.writing import Writer

log = logging.getLogger("edgewright.fleet.repository")


class Repository(Writer):
    """A fleet's signed files.

    Args:
        home: whose.
        passphrase: gives the passphrase of an offline key by its name; asked only when such a key must sign.
    """

    def add_release(self, release: Release) -> None:
        """Sign a release; needs the keys of ``releases``.

        Raises:
            ConfigError: its version is not larger than those before, or keys that must sign cannot.
            VerificationError: the repository is damaged.
        """
        with self.writing() as draft:
            newest = max(self.versions(release.product), default=0)
            if release.version <= newest:
                raise ConfigError(
                    f"wanted to add version {release.version} of {release.product}",
                    seen=f"version {newest} is there",
                    allowed=f"{newest + 1} or more: devices never go to a smaller one",
                )
            draft.add_target("releases", release.target_path, strict.to_bytes(release))

    def add_release_after(self, release: Release, newest: int) -> bool:
        """:meth:`add_release`, unless another version than ``newest`` is the newest now; whether it was signed."""
        with self.locked():
            if max(self.versions(release.product), default=0) != newest:
                return False
            self.add_release(release)
            return True

    def set_plan(self, plan: Plan) -> None:
        """Sign a plan; needs online keys only.

        Raises:
            ConfigError: its sequence is not larger than the one before, or its release is not there.
            VerificationError: the repository is damaged.
        """
        with self.writing() as draft:
            before = self.plan(plan.product, plan.channel)
            if before is not None and plan.sequence <= before.sequence:
                raise ConfigError(
                    f"wanted to set plan {plan.sequence} of {plan.product}/{plan.channel}",
                    seen=f"plan {before.sequence} is there",
                    allowed=f"{before.sequence + 1} or more: devices never follow a smaller one",
                )
            self.release(plan.product, plan.release)
            draft.add_target("rollouts", plan.target_path, strict.to_bytes(plan))

    def refresh(self) -> None:
        """Renew what online keys sign where less than half of its time is left, and remove what nobody needs any more.

        Call it often: when there is nothing to do, nothing is written.
        """
        with self.writing() as draft:
            state = self.state()
            for role in ONLINE:
                lifetime = datetime.timedelta(days=self.home.settings.role(role).expires_days)
                if state.roles[role].signed.expires - writing.now() < lifetime / 2:
                    draft.renew(role)
            prune(self.home.repository, state)
        self._warn(state)

    def _warn(self, state: State) -> None:
        """Nobody but a person can renew what offline keys sign."""
        for role in (role for role in ROLES if role not in ONLINE):
            expires = state.roles[role].signed.expires
            if ends_soon(self.home.settings.role(role), expires):
                log.warning("%s %s: edgewright fleet keys renew %s", role, ending(expires), role)

    def rotate(self, *roles: str, new_passphrase: Callable[[str], str] | None = None) -> list[str]:
        """Replace all keys of roles that lie in files, see :func:`toolchain.fleet.trust.rotation.rotate`."""
        return rotation.rotate(self, roles, new_passphrase)

    def revoke(self, keyid: str, *, new_passphrase: Callable[[str], str] | None = None) -> list[str]:
        """Take a key out of every role, see :func:`toolchain.fleet.trust.rotation.revoke`."""
        return rotation.revoke(self, keyid, new_passphrase)

    def add_key(self, role: str, uri: str, pem: bytes) -> str:
        """Let another key sign for a role, see :func:`toolchain.fleet.trust.rotation.add`."""
        return rotation.add(self, role, uri, pem)

    def renew(self, roles: Sequence[str]) -> None:
        """Sign roles anew, so that they expire later; needs their keys.

        Raises:
            ConfigError: an unknown role, or keys that cannot sign.
        """
        with self.writing() as draft:
            for role in roles:
                draft.renew(known_role(role))

    def roles(self) -> list[Row]:
        """One row per key of every role."""
        return rows(self.home, self.state(), self.keys)
