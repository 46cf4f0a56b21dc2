"""The roles and playbooks against a real OpenSSH server: check mode, idempotence, waves, and what is left behind."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
import threading
import tomllib
import zipfile
from pathlib import Path

import pytest

from profiles.errors import ConfigError
from tests.toolchain.fleet.ansible.fleet_ansible import NAMES, Fleet, inventory, ssh_environment
from toolchain.fleet.agent.zipapp import agent_zipapp
from toolchain.fleet.ansible.playbook import PLAYBOOKS, play

pytestmark = pytest.mark.sshd


@pytest.fixture
def fleet():
    handler = type("Own", (Fleet,), {"asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", handler.asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def devices(device, tmp_path, fleet):
    """Variables of three devices, with an agent to bring them."""
    (tmp_path / "root.json").write_text("{}")
    return {
        "edgewright_agent_folder": str(tmp_path / "devices" / "{name}"),
        "edgewright_agent_zipapp": str(agent_zipapp(tmp_path / "agent.pyz")),
        "edgewright_agent_root": str(tmp_path / "root.json"),
        "edgewright_agent_python": sys.executable,
        "edgewright_agent_unit": False,
        "edgewright_product": "camera",
        "edgewright_repository": "http://127.0.0.1:1/",
        "edgewright_checkin": fleet[0],
        "edgewright_agent_token": "token-of-{name}",
        "edgewright_labels": {"site": "lab", "note": 'a "quoted" word \\ and {{ 6 * 7 }}'},
        "edgewright_limits": {"total_seconds": 60.0},
    }


@pytest.fixture
def ansible(device, tmp_path):
    """Runs a playbook on all three devices."""

    def run(name, variables, waves=("100%",), **options):
        hosts = inventory(tmp_path, device, variables)
        extra = {"edgewright_waves": list(waves), "edgewright_facts": False}
        return play(PLAYBOOKS / f"{name}.yml", hosts, extra, env=ssh_environment(device, tmp_path), **options)

    (tmp_path / "devices").mkdir()
    return run


def changes(played):
    return [(event.host, event.task) for event in played.events if event.outcome == "changed"]


def test_bootstrap_checks_brings_enrols_and_then_changes_nothing(ansible, devices, tmp_path, fleet, device):
    checked = ansible("bootstrap", devices, check=True)
    assert checked.failures == {}, f"check mode fails: {checked.failures}"
    assert changes(checked), "check mode does not say what would be done"
    assert not list((tmp_path / "devices").iterdir()) and not fleet[1], "check mode changed something"
    first = ansible("bootstrap", devices)
    assert first.failures == {} and first.hosts == list(NAMES), first.failures
    for name in NAMES:
        folder = tmp_path / "devices" / name
        assert stat.S_IMODE((folder / "agent.toml").stat().st_mode) == 0o600
        assert not (folder / "token").exists(), "the token stayed on the device"
        told = tomllib.loads((folder / "agent.toml").read_text())
        assert (told["device"], told["labels"]["site"], told["limits"]["total_seconds"]) == (name, "lab", 60.0)
        assert f"token-of-{name}" not in first.stdout, "a secret was printed"
    assert len(fleet[1]) == 3, "every device asks the fleet once"
    second = ansible("bootstrap", devices)
    assert second.failures == {} and changes(second) == [], "the second run changed something"
    assert len(fleet[1]) == 3, "a device enrolled twice"


def packages_of_this_python(folder: Path) -> str:
    """A wheel with a ``.pth`` file that names our own packages' folder: devices install it without a network."""
    name, info = folder / "devicepackages-1-py3-none-any.whl", "devicepackages-1.dist-info"
    with zipfile.ZipFile(name, "w") as wheel:
        wheel.writestr("devicepackages.pth", sysconfig.get_path("purelib"))
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: devicepackages\nVersion: 1\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return str(name)


def test_an_environment_of_the_agents_own_is_made_once(ansible, devices, tmp_path, fleet):
    devices = {**devices, "edgewright_agent_install": [packages_of_this_python(tmp_path)]}
    played = ansible("bootstrap", devices, limit="cam-1")
    assert played.failures == {} and len(fleet[1]) == 1, played.failures
    agent = tmp_path / "devices/cam-1/venv/bin/python"
    words = [str(agent), str(tmp_path / "devices/cam-1/agent.pyz"), "--help"]
    assert "edgewright-agent" in subprocess.run(words, capture_output=True, text=True, check=True).stdout
    again = ansible("bootstrap", devices, limit="cam-1")
    assert again.failures == {} and changes(again) == [], "the second run changed something"


def test_configure_changes_what_is_told_and_stops_at_the_first_bad_wave(ansible, devices, tmp_path):
    assert ansible("configure", devices).failures == {}
    before = {name: (tmp_path / "devices" / name / "agent.toml").read_bytes() for name in NAMES}
    shutil.rmtree(tmp_path / "devices" / "cam-2")
    (tmp_path / "devices" / "cam-2").touch()  # a file where the folder should be
    played = ansible("configure", {**devices, "edgewright_interval": 60}, waves=(1, 1, 1))
    assert set(played.failures) == {"cam-2"}, f"other devices failed than the broken one: {played.failures}"
    assert tomllib.loads((tmp_path / "devices/cam-1/agent.toml").read_text())["interval"] == 60.0
    assert (tmp_path / "devices/cam-3/agent.toml").read_bytes() == before["cam-3"], "the wave after the bad one began"


def test_options_are_checked_before_anything_is_done(ansible, devices, tmp_path):
    del devices["edgewright_product"]
    played = ansible("configure", devices)
    assert "missing required arguments: edgewright_product" in played.failures["cam-1"]
    assert not list((tmp_path / "devices").iterdir()), "something was written all the same"


def test_measuring_in_check_mode_does_nothing(ansible, devices, tmp_path, device):
    before = sorted(device.folder.iterdir())
    played = ansible("profile", {**devices, "edgewright_profile_out": str(tmp_path / "out")}, check=True)
    assert played.failures == {} and changes(played) == [], (
        f"check mode did something: {played.failures or changes(played)}"
    )
    assert sorted(device.folder.iterdir()) == before and not (tmp_path / "out").exists()


def test_nothing_is_kept_in_the_users_home_and_no_connection_stays(ansible, devices, device, tmp_path, monkeypatch):
    home, rooms = tmp_path / "home", Path(f"/tmp/fleet-ansible-{os.getpid()}")
    for folder in (home, rooms):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(rooms))
    hosts = inventory(tmp_path, device, devices)
    extra = {"edgewright_waves": ["100%"], "edgewright_facts": False}
    env = {"ANSIBLE_SSH_ARGS": f"-F {device.options.config} -o ControlMaster=auto -o ControlPersist=60s"}
    try:
        played = play(PLAYBOOKS / "configure.yml", hosts, extra, env=env)
        assert played.failures == {} and played.hosts == list(NAMES), played.failures
        assert list(home.iterdir()) == [], "something was kept in the user's home"
        assert list(rooms.iterdir()) == [], "something was kept among the temporary files"
        masters = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(rooms).encode() in _words(path)]
        assert masters == [], "a connection was kept open that nobody can use again"
    finally:
        shutil.rmtree(rooms)


def _words(path):
    try:
        return path.read_bytes()
    except OSError:  # it ended
        return b""


def test_a_pattern_without_hosts_is_refused(ansible, devices):
    with pytest.raises(ConfigError, match="Ansible could not begin"):
        ansible("configure", devices, limit="site_moon")


def test_an_unreachable_device_is_told_as_such(ansible, devices, device):
    played = ansible("configure", {**devices, "ansible_port": 1}, limit="cam-1")
    assert list(played.failures) == ["cam-1"] and "refused" in played.failures["cam-1"], played.failures


def test_the_collection_can_be_built(tmp_path):
    import subprocess

    from toolchain.fleet.ansible.playbook import COLLECTIONS, find_program

    source = COLLECTIONS / "ansible_collections" / "edgewright" / "fleet"
    asked = [find_program("ansible-galaxy"), "collection", "build", source, "--output-path", tmp_path]
    env = {**os.environ, "ANSIBLE_HOME": str(tmp_path / "ansible")}
    done = subprocess.run(asked, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, f"ansible-galaxy refuses the collection:\n{done.stderr}"
    assert list(tmp_path.glob("edgewright-fleet-*.tar.gz"))
    assert json.dumps(done.stderr).count("WARNING") == 0, done.stderr
