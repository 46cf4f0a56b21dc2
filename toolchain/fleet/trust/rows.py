"""Who signs what, as rows for ``edgewright fleet keys list``."""

from __future__ import annotations

import dataclasses
import datetime
import math

from toolchain.fleet.home import Home
from toolchain.fleet.settings import Role
from toolchain.fleet.trust.keys import IN_FILE, KeyRing
from toolchain.fleet.trust.roles import ONLINE, ROLES
from toolchain.fleet.trust.state import State


@dataclasses.dataclass(frozen=True)
class Row:
    """One key of one role.

    Attributes:
        role: as in the repository.
        threshold: so many of its keys must sign.
        keyid: hexadecimal.
        scheme: of the signature, such as ``ed25519``.
        uri: where the private half is; empty when ``fleet.toml`` does not say.
        where: ``online`` (a file without a passphrase), ``offline`` (a file with one), ``external``, or ``away`` when
            the file is not there.
        version: of the role's metadata.
        expires: when its signature ends, RFC 3339.
        expired: whether that is over.
        ends_soon: whether less than a sixth of its time is left.
        ending: the same in words.
    """

    role: str
    threshold: int
    keyid: str
    scheme: str
    uri: str
    where: str
    version: int
    expires: str
    expired: bool
    ends_soon: bool
    ending: str


def ends_soon(role: Role, expires: datetime.datetime) -> bool:
    """Whether less than a sixth of a signature's time is left, or nothing."""
    left = expires - datetime.datetime.now(datetime.UTC)
    return left < datetime.timedelta(days=role.expires_days) / 6


def ending(expires: datetime.datetime) -> str:
    """When a signature ends, such as ``ends within 3 days``."""
    left = expires - datetime.datetime.now(datetime.UTC)
    if left <= datetime.timedelta():
        return "has expired"
    days = math.ceil(left / datetime.timedelta(days=1))
    return f"ends within {days} day{'' if days == 1 else 's'}"


def rows(home: Home, state: State, ring: KeyRing) -> list[Row]:
    """One row per key of every role, in the order of the roles."""
    known, placed = ring.known(home.settings.uris()), home.settings.uris()
    uris = {key.keyid: uri for uri, key in known.items()}
    uris |= {known[uri].keyid: uri for uri in placed if uri in known}
    found = []
    for role in ROLES:
        delegator, signed = state.delegator(role), state.roles[role].signed
        entry = delegator.get_delegated_role(role)
        for keyid in entry.keyids:
            uri = uris.get(keyid, "")
            found.append(
                Row(
                    role,
                    entry.threshold,
                    keyid,
                    delegator.get_key(keyid).scheme,
                    uri,
                    _where(ring, role, uri),
                    signed.version,
                    signed.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    signed.expires <= datetime.datetime.now(datetime.UTC),
                    ends_soon(home.settings.role(role), signed.expires),
                    ending(signed.expires),
                )
            )
    return found


def _where(ring: KeyRing, role: str, uri: str) -> str:
    if not uri.startswith(IN_FILE):
        return "external" if uri else "away"
    if not ring.path(uri).is_file():
        return "away"
    return "online" if role in ONLINE else "offline"
