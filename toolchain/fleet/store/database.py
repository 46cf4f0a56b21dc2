"""A connection to SQLite or PostgreSQL, transactions, and a lock that only one process holds."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, event, exc, text
from sqlalchemy.engine import URL, make_url

from profiles.errors import ConfigError, MissingToolError, OutputError, UnreachableError
from toolchain.fleet.store import schema

#: Seconds that a writer waits for another one.
BUSY = 10.0
#: Connections: more than the threads that a server has for requests.
_POOL: dict[str, Any] = {"pool_size": 20, "max_overflow": 20, "pool_timeout": BUSY}
#: Several processes may make the tables at once; PostgreSQL would let one of them fail.
_CREATION = 0x65776372
#: What SQLite says of a file that it may only read, and of a disk without room.
_FULL = ("readonly database", "disk is full", "disk I/O error")


class Database:
    """An engine with the tables made.

    Args:
        url: ``sqlite:///PATH``, ``sqlite://`` (in memory, for tests) or ``postgresql://…``. Never shown: it may hold a
            password.

    Raises:
        ConfigError: another kind of URL, or a database of another version of Edgewright.
        MissingToolError: the driver is not installed.
        UnreachableError: the server does not answer.
        OutputError: the file cannot be made or written.
    """

    def __init__(self, url: str) -> None:
        self._url = _parsed(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._alone = threading.Lock()
        # SQLite lets one write at a time, and those that wait look again now and then: threads of ours queue instead
        self._writer = threading.Lock() if self.is_sqlite else contextlib.nullcontext()
        self._engine = _sqlite(self._url) if self.is_sqlite else _postgres(self._url)
        # in PostgreSQL a single statement needs no BEGIN and no ROLLBACK around it, which are trips to the server
        self._reader = self._engine if self.is_sqlite else self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._create()

    def _create(self) -> None:
        with self.writing() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATION})
            schema.metadata.create_all(connection)
            known = connection.execute(sqlalchemy.select(schema.about.c.value).filter_by(key="schema")).scalar()
            if known is None:
                connection.execute(schema.about.insert().values(key="schema", value=str(schema.SCHEMA)))
            elif known != str(schema.SCHEMA):
                raise ConfigError(
                    "the fleet's database is of another version",
                    seen=known,
                    allowed=str(schema.SCHEMA),
                    next_step="use the Edgewright that wrote it: an older one does not read what a newer one keeps",
                )

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """For statements that change nothing; each may see what others have committed since the one before."""
        with _words(), self._reader.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all or nothing."""
        with self._writer, _words(), self._engine.connect() as connection:
            connection.info["writes"] = True
            try:
                with connection.begin():
                    yield connection
            finally:
                connection.info["writes"] = False

    @contextlib.contextmanager
    def exclusive(self, name: str, wait: float) -> Iterator[bool]:
        """Whether nobody else holds the lock of this name; it ends with the process that holds it, however it ends.

        Args:
            name: of the lock.
            wait: seconds to wait for it.
        """
        end = time.monotonic() + wait
        with contextlib.ExitStack() as stack:
            if not self._alone.acquire(timeout=max(wait, 0.0)):
                yield False
                return
            stack.callback(self._alone.release)
            held = self._sqlite_lock(stack, end) if self.is_sqlite else self._postgres_lock(stack, name, end)
            yield held

    def _sqlite_lock(self, stack: contextlib.ExitStack, end: float) -> bool:
        from filelock import FileLock, Timeout

        if not self._url.database:
            return True
        try:
            stack.enter_context(FileLock(f"{self._url.database}.lock").acquire(max(0.0, end - time.monotonic())))
        except Timeout:
            return False
        return True

    def _postgres_lock(self, stack: contextlib.ExitStack, name: str, end: float) -> bool:
        key = {"key": int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)}
        stack.enter_context(_words())
        connection = stack.enter_context(self._reader.connect())
        while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar():
            if time.monotonic() >= end:
                return False
            time.sleep(0.05)
        stack.callback(connection.execute, text("SELECT pg_advisory_unlock(:key)"), key)
        return True

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        raise ConfigError(
            "wanted the URL of a database", seen="no URL", allowed="sqlite:///…, postgresql://…"
        ) from error
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigError("wanted a database", seen=parsed.drivername, allowed="sqlite, postgresql")
    return parsed if parsed.drivername != "postgresql" else parsed.set(drivername="postgresql+psycopg")


def _sqlite(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        _private(Path(url.database))
        engine = sqlalchemy.create_engine(url, connect_args={"timeout": BUSY}, **_POOL)
    else:
        pool = sqlalchemy.pool.StaticPool
        engine = sqlalchemy.create_engine(url, poolclass=pool, connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        # the driver would begin transactions by itself, too late to wait for another writer
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.info.get("writes") else "BEGIN")

    return engine


def _private(path: Path) -> None:
    """Make the file so that only its owner reads it; SQLite's other files follow it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise OutputError(f"the database {path} cannot be written", seen=str(error.strerror)) from error


def _postgres(url: URL) -> Engine:
    try:
        # no ping before every use: after a restart of the database one request fails, and the pool is made anew
        return sqlalchemy.create_engine(url, **_POOL)
    except ImportError as error:
        raise MissingToolError(
            "PostgreSQL needs the package psycopg", next_step="pip install 'edgewright[fleet-postgres]'"
        ) from error


@contextlib.contextmanager
def _words() -> Iterator[None]:
    """What the database refuses, as an error of ours, without the URL and without the values of a statement."""
    try:
        yield
    except exc.IntegrityError:
        raise
    except exc.TimeoutError as error:
        raise UnreachableError("the fleet's database is too busy", seen="all connections are in use") from error
    except exc.OperationalError as error:
        if any(words in str(error.orig) for words in _FULL):
            raise OutputError(
                "the fleet's database cannot be written",
                seen=_first_line(error),
                next_step="see whose the file and its folder are, and that the disk is writable and has room",
            ) from error
        raise UnreachableError("the fleet's database does not answer", seen=_first_line(error)) from error
    except exc.DBAPIError as error:
        raise OutputError("the fleet's database refuses", seen=_first_line(error)) from error


def _first_line(error: exc.DBAPIError) -> str:
    return f"{type(error.orig).__name__}: {str(error.orig).splitlines()[0][:200] if str(error.orig) else ''}"
