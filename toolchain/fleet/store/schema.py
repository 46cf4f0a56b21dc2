"""The tables. Times are seconds since 1970 by the server's clock; JSON is kept as text, which both databases know."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

#: Grows when tables change; kept in ``about``.
SCHEMA = 1
#: Entries of a device's history that are kept.
MOST_HISTORY = 100

metadata = MetaData()


def _name(column: str, *more: object, **options: object) -> Column[str]:
    return Column(column, String(64), *more, **options)  # type: ignore[arg-type]


def _device(**options: object) -> Column[str]:
    return _name("device", ForeignKey("devices.name", ondelete="CASCADE"), **options)


about = Table("about", metadata, _name("key", primary_key=True), Column("value", Text, nullable=False))

devices = Table(
    "devices",
    metadata,
    _name("name", primary_key=True),
    _name("product", nullable=False),
    _name("channel", nullable=False),
    Column("labels", Text, nullable=False),
    Column("enrolled", Float(53), nullable=False),
    Column("revoked", Float(53)),
    Index("devices_by_channel", "product", "channel"),
)

#: ``keyid`` is securesystemslib's, ``public`` is PEM.
device_keys = Table(
    "device_keys",
    metadata,
    _device(primary_key=True),
    Column("keyid", String(64), nullable=False, unique=True),
    Column("public", Text, nullable=False),
)

#: ``hash`` is the SHA-256 of the token; the token itself is nowhere.
tokens = Table(
    "tokens",
    metadata,
    Column("hash", String(64), primary_key=True),
    _name("product", nullable=False),
    _name("channel", nullable=False),
    Column("left", Integer, nullable=False),
    Column("made", Float(53), nullable=False),
    Column("expires", Float(53), nullable=False),
    Column("note", Text, nullable=False),
)

_ATTEMPT = (
    ("release", BigInteger),
    ("sequence", BigInteger),
    ("stage", String(20)),
    ("outcome", String(20)),
    ("reason", String(20)),
    ("detail", Text),
    ("fetched", BigInteger),
    ("full", BigInteger),
)


def _attempt() -> list[Column[object]]:
    return [Column(name, kind, nullable=False) for name, kind in _ATTEMPT]


def _latencies() -> list[Column[float]]:
    return [Column("before", Float(53)), Column("after", Float(53))]


#: The newest of each device: a row from its enrolment on, ``seen`` is 0 until it checks in.
reports = Table(
    "reports",
    metadata,
    _device(primary_key=True),
    Column("counter", BigInteger, nullable=False),
    Column("seen", Float(53), nullable=False),
    Column("skew", Float(53), nullable=False),
    Column("running", BigInteger, nullable=False),
    Column("agent", String(80), nullable=False),
    Column("provides", Text, nullable=False),
    Column("entries", BigInteger, nullable=False),
    *_attempt(),
    *_latencies(),
)

#: What changed, numbered by device, bounded by :data:`MOST_HISTORY`.
history = Table(
    "history",
    metadata,
    _device(primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("seen", Float(53), nullable=False),
    Column("running", BigInteger, nullable=False),
    *_attempt(),
    *_latencies(),
)

#: ``plan`` is the newest that was decided, ``published`` the sequence of the newest that the repository has.
rollouts = Table(
    "rollouts",
    metadata,
    Column("id", Integer, primary_key=True),
    _name("product", nullable=False),
    _name("channel", nullable=False),
    Column("policy", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("published", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("opened", Float(53), nullable=False),
    Column("met", Float(53)),
    Column("started", Float(53), nullable=False),
    UniqueConstraint("product", "channel", "first"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("rollout", ForeignKey("rollouts.id", ondelete="CASCADE"), primary_key=True),
    _name("wave", primary_key=True),
    Column("who", Text, nullable=False),
    Column("at", Float(53), nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rollout", ForeignKey("rollouts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", Float(53), nullable=False),
    Column("action", String(20), nullable=False),
    Column("why", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
)
