"""Databases for tests of the fleet's state: SQLite files, and a PostgreSQL server of our own on a unix socket."""

import os

import pytest

from benchmarks.fleet_postgres import Postgres, missing


@pytest.fixture(scope="session")
def postgres():
    """A running server."""
    if absent := missing():
        assert not os.environ.get("CI"), f"{absent} must be there in CI"
        pytest.skip(f"needs {absent}; run: apt-get install postgresql; pip install 'edgewright[fleet-postgres]'")
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """A new database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'fleet.db'}"
    return request.getfixturevalue("postgres").new()


@pytest.fixture
def store(database_url):
    from toolchain.fleet.store import Store

    with Store(database_url) as opened:
        yield opened
