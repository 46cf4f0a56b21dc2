"""What the server remembers, in SQL: devices and their keys, tokens, reports, rollouts. SQLite or PostgreSQL by URL."""

from toolchain.fleet.store.store import Store

__all__ = ["Store"]
