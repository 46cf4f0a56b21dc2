"""The agent as a user without any rights: enrolment, installs, an update and a way back, in a folder of its own."""

import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import tuf

from tests.toolchain.fleet.agent.fleet_device import Device, ship
from tests.toolchain.fleet.agent.fleet_web import Web
from toolchain.fleet.agent.cli import TOKEN

ROOT = Path(__file__).resolve().parents[4]
NOBODY = 65534
BECOME = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", "--inh-caps=-all")
PYTHONS = (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
#: User and capabilities that count (proc(5)), where all can be loaded and the interpreter can be started again.
ASK = """import os, subprocess, sys, tuf, toolchain.fleet.agent.real
subprocess.run([sys.executable, "-I", "-c", ""], check=True)
caps = [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")]
print(os.geteuid(), int(caps[0], 16))"""


@pytest.fixture(scope="module")
def humbly():
    """Words that start Python without rights: as another user, or as we are where we are not root."""
    words = BECOME if os.geteuid() == 0 else ()
    if words and shutil.which(words[0]) is None:
        if os.environ.get("CI"):
            pytest.fail("setpriv is not installed")
        pytest.skip("needs setpriv to give up the rights of root")
    for python in PYTHONS:
        asked = [*words, python, "-c", ASK]
        with contextlib.suppress(OSError):
            done = subprocess.run(asked, capture_output=True, text=True, env=environment(), check=False, cwd="/")
            if done.returncode == 0:
                user, capabilities = map(int, done.stdout.split())
                assert user != 0 and capabilities == 0, "it has rights still"
                return [*words, python]
    pytest.skip(f"a user without rights can run none of {', '.join(PYTHONS)} with the agent's packages")


def environment():
    """Without a home: a system user often has none that it may write to."""
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "TMPDIR")}
    paths = f"{ROOT}{os.pathsep}{Path(tuf.__file__).parents[1]}"
    return {**kept, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent", TOKEN: "t"}


@pytest.fixture
def humble(tmp_path, mirror, humbly):
    """A device whose folder belongs to a user without rights; its configuration is root's, as below /etc."""
    web = Web(mirror.folder)
    try:
        device = Device(tmp_path / "device", web.url, mirror.first_root(), checkin=web.url, folder="var/state")
        device.folder = device.home / "var" / "state"
        device.configure(health=[humbly[-1], "-c", "import os; os.listdir(os.environ['EDGEWRIGHT_BUNDLE'])"])
        (device.home / "var").mkdir()
        if os.geteuid() == 0:
            os.chown(device.home / "var", NOBODY, NOBODY)
            for path in (tmp_path, device.home):
                path.chmod(0o755)
        yield device, humbly
    finally:
        web.close()


def call(humble, *words, code=0):
    device, python = humble
    argv = [*python, "-m", "toolchain.fleet.agent.main", *words, "--config", str(device.config)]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment(), check=False, cwd="/", timeout=60)
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def test_a_user_without_rights_enrols_installs_updates_and_goes_back(humble, mirror):
    device, _ = humble
    first = ship(mirror, 1, bundle={"builds": True}, build=0)
    assert "is in the fleet" in call(humble, "enroll")
    call(humble, "run", "--once")
    assert device.running() == 1 and (device.folder / "engines/engine").exists()
    ship(mirror, 2, old=first)
    call(humble, "run", "--once")
    assert device.running() == 2 and device.state.attempt.fetched < 3000, "the delta was not used"
    ship(mirror, 3, wrong=True)
    assert "parity" in call(humble, "run", "--once", code=6)
    (device.folder / "slots/b/bundle/weights.bin").write_bytes(b"rust")
    assert "is whole again" in call(humble, "run", "--once")
    assert json.loads(call(humble, "status", "--json"))["running"] == 2 and device.running() == 2
    owner = os.geteuid() or NOBODY
    assert [path for path in device.folder.rglob("*") if path.lstat().st_uid != owner] == []
    assert stat.S_IMODE((device.folder / "key.pem").stat().st_mode) == 0o600


def test_a_folder_that_the_user_may_not_write_to_is_said(humble):
    device, _ = humble
    os.chown(device.home / "var", os.geteuid(), -1)
    (device.home / "var").chmod(0o555)
    for command in (["enroll"], ["run", "--once"]):
        text = call(humble, *command, code=2)
        assert "cannot write" in text and "check who may write there" in text
    assert not device.folder.exists()
    (device.home / "var").chmod(0o755)


def test_the_state_of_another_user_is_not_taken_for_a_new_device(humble, mirror):
    """``status`` asked by a user who may not read the agent's files."""
    device, _ = humble
    if os.geteuid() != 0:
        pytest.skip("needs root, to have files of another user")
    ship(mirror, 1)
    device.call("run", "--once")
    assert "Permission denied" in call(humble, "status", code=2)
