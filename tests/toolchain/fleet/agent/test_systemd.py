"""The unit under a real systemd: the agent updates its device while it may touch nothing but its own folder."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.toolchain.fleet.agent.fleet_device import Device, ship
from tests.toolchain.fleet.agent.fleet_systemd import Systemd
from toolchain.fleet.agent.zipapp import agent_zipapp

UNIT = "edgewright-agent.service"


@pytest.fixture
def place():
    """A folder that the unit's private /tmp does not hide."""
    missing = Systemd.missing()
    if missing:
        pytest.skip(f"needs a systemd of its own: {missing}")
    folder = Path(tempfile.mkdtemp(prefix="edgewright-unit-", dir="/var/lib"))
    yield folder
    shutil.rmtree(folder)


def show_this_python(units):
    """A checkout below /tmp has its Python there, which a private /tmp hides."""
    more = units / f"{UNIT}.d"
    more.mkdir()
    paths = [path for path in {sys.prefix, sys.base_prefix} if path.startswith(("/tmp/", "/var/tmp/"))]
    (more / "python.conf").write_text("[Service]\n" + "".join(f"BindReadOnlyPaths={path}\n" for path in paths))


def wait(done, seconds, system):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"not within {seconds} s; systemd said:\n{system.said()}"
        time.sleep(0.1)


def test_the_hardened_unit_updates_its_device_and_may_change_nothing_else(place, mirror, web):
    outside = place / "outside"
    watched = ["sh", "-c", f"if touch {outside} /etc/edgewright-test; then exit 1; fi"]  # healthy where that is refused
    device = Device(place / "device", web.url, mirror.first_root(), interval=1, health=watched)
    device.folder.mkdir()
    files = ship(mirror, 1)
    agent, units = agent_zipapp(place / "agent.pyz"), place / "units"
    units.mkdir()
    words = [sys.executable, str(agent), "install-unit", "--config", str(device.config), "--user", "root"]
    subprocess.run([*words, "--out", str(units / UNIT)], check=True, capture_output=True, env={"PATH": os.defpath})
    show_this_python(units)
    with Systemd(units, UNIT) as system:
        wait(lambda: device.state.running == 1, 60, system)
        ship(mirror, 2, old=files)
        wait(lambda: device.state.running == 2, 60, system)
        (pid, *_) = system.pids()
        status = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
        )
    assert device.running() == 2
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0, "no capabilities, although root started it"
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert not outside.exists() and not Path("/etc/edgewright-test").exists()


@pytest.mark.parametrize(("target", "mode"), [("/root/.pyenv/bin/python", "read-only"), ("/usr/bin/python3", "yes")])
def test_an_interpreter_that_is_a_link_into_a_home_stays_visible(device, tmp_path, monkeypatch, target, mode):
    link = tmp_path / "python"
    link.symlink_to(target)
    monkeypatch.setattr("toolchain.fleet.agent.unit.command", lambda: [str(link), "/opt/agent.pyz"])
    assert f"ProtectHome={mode}\n" in device.call("install-unit", "--user", "root")[1]


def test_what_a_private_tmp_hides_is_told(device, monkeypatch):
    monkeypatch.setattr("toolchain.fleet.agent.unit.command", lambda: ["/tmp/x/bin/python", "/opt/agent.pyz"])
    code, text = device.call("install-unit", "--user", "root")
    assert code == 0 and "which hides /tmp/x/bin/python: move it" in text, text
