"""Tokens and devices, in SQL. A token is 256 random bits, so that its plain SHA-256 can be kept in its place."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, exc, select

from profiles.errors import ConfigError
from toolchain.fleet.store.rows import Identity, TokenRow, to_text
from toolchain.fleet.store.schema import device_keys, devices, reports, tokens

#: So that scanners for secrets find a token that was committed somewhere.
PREFIX = "ewft_"
#: Seconds that an expired token is listed, so that people see why a device was refused.
FORGOTTEN = 30 * 86400.0

_IDENTITY = (
    select(
        devices.c.product, devices.c.channel, devices.c.labels, device_keys.c.keyid, device_keys.c.public,
        devices.c.revoked, reports.c.counter, reports.c.entries, reports.c.release, reports.c.sequence, reports.c.stage,
        reports.c.outcome, reports.c.reason, reports.c.running,
    )
    .join(device_keys, device_keys.c.device == devices.c.name)
    .join(reports, reports.c.device == devices.c.name)
    .where(devices.c.name == bindparam("device"))
)  # fmt: skip


def hashed(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def make_token(
    connection: Connection, product: str, channel: str, *, uses: int, now: float, lasts: float, note: str
) -> str:
    """A new token; ``lasts`` is in seconds. It is returned once and kept nowhere.

    Tokens that are used up, or that expired :data:`FORGOTTEN` seconds ago, are deleted.
    """
    connection.execute(tokens.delete().where((tokens.c.left <= 0) | (tokens.c.expires <= now - FORGOTTEN)))
    token = PREFIX + secrets.token_urlsafe(32)
    row = {"product": product, "channel": channel, "left": uses, "made": now, "expires": now + lasts, "note": note}
    connection.execute(tokens.insert().values(hash=hashed(token), **row))
    return token


def list_tokens(connection: Connection) -> list[TokenRow]:
    """All, the oldest first."""
    rows = connection.execute(select(tokens).order_by(tokens.c.made))
    return [
        TokenRow(row.hash[:12], row.product, row.channel, row.left, row.made, row.expires, row.note) for row in rows
    ]


def revoke_token(connection: Connection, start: str) -> bool:
    """Whether there was exactly one token whose hash begins so; it is gone now."""
    found = connection.execute(select(tokens.c.hash).where(tokens.c.hash.startswith(start, autoescape=True))).all()
    if len(found) == 1:
        connection.execute(tokens.delete().where(tokens.c.hash == found[0].hash))
    return len(found) == 1


def use_token(connection: Connection, token: str, product: str, channel: str, now: float) -> bool:
    """Whether the token was good for one more device; one statement, so that two cannot share its last use."""
    change = (
        tokens.update()
        .where(tokens.c.hash == hashed(token), tokens.c.left > 0, tokens.c.expires > now)
        .where(tokens.c.product == product, tokens.c.channel.in_(("", channel)))
        .values(left=tokens.c.left - 1)
    )
    return connection.execute(change).rowcount == 1


def identity(connection: Connection, device: str) -> Identity | None:
    """A device by its name."""
    row = connection.execute(_IDENTITY, {"device": device}).first()
    return None if row is None else Identity(device, *row[:8], newest=tuple(row[8:]))


def add_device(
    connection: Connection,
    device: str,
    product: str,
    channel: str,
    labels: Mapping[str, str],
    *,
    key: tuple[str, str],
    now: float,
) -> bool:
    """Whether the name and the key were free; ``key`` is its id and its PEM."""
    try:
        with connection.begin_nested():
            row = {"name": device, "product": product, "channel": channel, "labels": to_text(labels), "enrolled": now}
            connection.execute(devices.insert().values(**row))
            connection.execute(device_keys.insert().values(device=device, keyid=key[0], public=key[1]))
            connection.execute(reports.insert().values(device=device, **_EMPTY))
    except exc.IntegrityError:
        return False
    return True


_EMPTY = {
    "counter": 0, "seen": 0.0, "skew": 0.0, "running": 0, "agent": "", "provides": "{}", "entries": 0, "release": 0,
    "sequence": 0, "stage": "idle", "outcome": "none", "reason": "", "detail": "", "fetched": 0, "full": 0,
}  # fmt: skip


def revoke(connection: Connection, device: str, now: float) -> None:
    """Refuse a device from now on.

    Raises:
        ConfigError: there is no such device.
    """
    known(connection, device)
    unless = devices.update().where(devices.c.name == device, devices.c.revoked.is_(None))
    connection.execute(unless.values(revoked=now))


def remove(connection: Connection, device: str) -> None:
    """Forget a device with all it said; it may be enrolled again.

    Raises:
        ConfigError: there is no such device.
    """
    known(connection, device)
    connection.execute(devices.delete().where(devices.c.name == device))


def known(connection: Connection, device: str) -> None:
    """Do nothing for a device that is there.

    Raises:
        ConfigError: it is not.
    """
    if connection.execute(select(devices.c.name).where(devices.c.name == device)).first() is None:
        raise ConfigError(f"there is no device '{device[:80]}'", next_step="edgewright fleet devices")
