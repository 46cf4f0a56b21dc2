"""A mirror with version 1, a web server over it, and a device that runs version 1."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.toolchain.fleet.agent.fleet_device import Device, ship
from tests.toolchain.fleet.agent.fleet_repository import Mirror
from tests.toolchain.fleet.agent.fleet_web import Web
from tests.toolchain.fleet.agent.fleet_worlds import live, make_home


@pytest.fixture
def tmp_path():
    """In memory where possible: the agent flushes all that it writes, which takes long on a busy disk."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="edgewright-agent-test-", dir=base) as folder:
        yield Path(folder)


@pytest.fixture
def mirror(tmp_path):
    return Mirror(tmp_path / "mirror")


@pytest.fixture
def web(mirror):
    server = Web(mirror.folder)
    yield server
    server.close()


@pytest.fixture
def device(tmp_path, mirror, web):
    return Device(tmp_path / "device", web.url, mirror.first_root())


@pytest.fixture(scope="session")
def _installed(tmp_path_factory):
    """A mirror, a device that runs version 1, and its files; made once and copied."""
    home = tmp_path_factory.mktemp("installed")
    mirror = Mirror(home / "mirror")
    web = Web(mirror.folder)
    try:
        device = Device(home / "device", web.url, mirror.first_root())
        files = ship(mirror, 1)
        device.once()
        yield mirror, device, files
    finally:
        web.close()


@pytest.fixture
def first(mirror, device, _installed):
    """The files of version 1, which runs."""
    old_mirror, old_device, files = _installed
    mirror.become(old_mirror)
    shutil.copytree(old_device.folder, device.folder, symlinks=True)
    (device.home / "first-root.json").write_bytes(mirror.first_root())
    assert device.running() == 1
    return files


@pytest.fixture
def prepared(tmp_path):
    """A mirror with version 2 on it, and a device that runs version 1 and knows nothing of it."""
    mirror = Mirror(tmp_path / "mirror")
    first = ship(mirror, 1)
    make_home(tmp_path / "device", mirror.first_root())
    live(tmp_path / "device", mirror.folder)
    ship(mirror, 2, old=first, plan={"soak": 15.0})
    return mirror
