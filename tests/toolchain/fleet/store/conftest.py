"""Both kinds of databases."""

from tests.toolchain.fleet.fleet_databases import database_url, postgres, store

__all__ = ["database_url", "postgres", "store"]
