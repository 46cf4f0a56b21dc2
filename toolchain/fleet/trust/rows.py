"""Who signs what, as rows for ``edgewright fleet keys list``."""

from __future__ import annotations

import dataclasses
import datetime

from toolchain.fleet.home import Home
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


def rows(home: Home, state: State, ring: KeyRing) -> list[Row]:
    """One row per key of every role, in the order of the roles."""
    uris = {key.keyid: uri for uri, key in ring.public().items()}
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
                )
            )
    return found


def _where(ring: KeyRing, role: str, uri: str) -> str:
    if not uri.startswith(IN_FILE):
        return "external" if uri else "away"
    if not ring.path(uri).is_file():
        return "away"
    return "online" if role in ONLINE else "offline"
