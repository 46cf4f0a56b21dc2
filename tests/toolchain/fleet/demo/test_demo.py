"""``make demo-fleet``, short and on loopback; what an interrupted one leaves; and its network of namespaces."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from examples.fleet import network, services
from examples.fleet.processes import Processes

ROOT = Path(__file__).parents[4]
DEMO = [sys.executable, "-m", "examples.fleet.demo", "--loopback", "--short"]
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@pytest.fixture
def room():
    """A short temporary folder for the demo: sockets of ssh are in it. Nothing may be left there."""
    missing = [name for name in ("nginx", "sshd", "ssh-keygen") if shutil.which(name, path=PATH) is None]
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the demo needs {', '.join(missing)}")
    folder = Path(f"/tmp/fleet-demo-{os.getpid()}")
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def environment(room: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(room), "COLUMNS": "120"}


def left_behind(room: Path) -> list[str]:
    """Command lines of processes that have to do with the folder, after a short while for the last ones to end."""
    found: list[str] = []
    for _ in range(50):
        found = [words for words in map(_told, Path("/proc").glob("[0-9]*")) if str(room) in words]
        if not found:
            break
        time.sleep(0.1)
    return found


def _told(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes() + b" " + (process / "environ").read_bytes()
    except OSError:  # it ended, or belongs to another user
        return ""
    return words.replace(b"\0", b" ").decode(errors="replace")


def test_the_short_story(room):
    done = subprocess.run(
        DEMO, cwd=ROOT, env=environment(room), capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, f"the demo ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    for line in (
        "all on loopback, because you asked for it", "3 devices have the agent", "cam-3  version 1: committed",
        "complete: all waves are through", "cam-1  version 2: failed: ", "output 'scores' must equal the golden one",
        "stopped: only cam-1 has tried it, and all three run version 1", "Nobody had to do anything.",
    ):  # fmt: skip
        assert line in done.stdout, f"the story does not tell: {line}\n{done.stdout}"
    assert not re.search(r"cam-[23]  version 2", done.stdout), "the bad release went beyond the canary"
    assert "Traceback" not in done.stderr, done.stderr
    assert not list(room.iterdir()), "files were left"
    assert not left_behind(room), "processes were left"


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["ctrl-c", "terminated", "terminal-closed"]
)
def test_an_interrupted_demo_leaves_nothing(room, number):
    demo = subprocess.Popen(DEMO, cwd=ROOT, env=environment(room), stdout=subprocess.PIPE, text=True)
    try:
        for line in demo.stdout:
            if "ansible-playbook" in line:  # server, nginx and ssh servers run by now
                break
        assert left_behind(room), "the test sees no processes of a demo that runs"
        time.sleep(1)
        demo.send_signal(number)
        rest = demo.communicate(timeout=60)[0]
    finally:
        demo.kill()
    assert demo.returncode == 130, f"ended with {demo.returncode}: {rest[-2000:]}"
    assert "interrupted: ending everything that was started" in rest
    assert not left_behind(room), "processes were left"
    assert not list(room.iterdir()), "files were left"


CABLES = """
import socket, subprocess, sys, tempfile
from pathlib import Path
from examples.fleet.network import namespaces
from examples.fleet.processes import Processes
processes = Processes(Path(tempfile.mkdtemp(dir=sys.argv[1])))
try:
    address, hosts = namespaces(["a", "b"], processes)
    server = socket.create_server((address, 4242))
    for host in hosts:
        code = f"import socket; s = socket.create_connection(('{address}', 4242), 5); print(s.getsockname()[0])"
        told = subprocess.run([*host.prefix, sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()
        assert told == host.address, f"{host.name} came from {told!r}"
        assert server.accept()[1][0] == host.address
    print("cables:", len(hosts))
finally:
    processes.stop()
"""


def test_namespaces_have_cables_between_them(tmp_path):
    if reason := network.why_loopback():
        pytest.skip(f"namespaces cannot be had here, the demo would run on loopback: {reason}")
    before = network_of_this_machine()
    done = subprocess.run(
        [*network._UNSHARE, sys.executable, "-c", CABLES, tmp_path], cwd=ROOT, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert "cables: 2" in done.stdout, f"no way between the namespaces:\n{done.stdout}\n{done.stderr}"
    assert network_of_this_machine() == before, "the machine's own network was changed"


def network_of_this_machine() -> str:
    return subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout


def test_without_root_it_says_why(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert network.why_loopback() == "making network namespaces needs root"


def refusing_ip(folder: Path, kind: str) -> str:
    """A search path with an ``ip`` that cannot make this kind of device."""
    refuse = f'case "$*" in *"type {kind}"*) echo "no {kind} here" >&2; exit 2 ;; esac'
    (folder / "ip").write_text(f'#!/bin/sh\n{refuse}\nexec {shutil.which("ip")} "$@"\n')
    (folder / "ip").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.parametrize("kind", ["veth", "bridge"])
def test_every_kind_of_device_is_tried_before_namespaces_are_used(tmp_path, monkeypatch, kind):
    if reason := network.why_loopback():
        pytest.skip(f"namespaces cannot be had here, the demo would run on loopback: {reason}")
    monkeypatch.setenv("PATH", refusing_ip(tmp_path, kind))
    assert network.why_loopback() == f"this system does not permit them: no {kind} here"


def test_a_namespace_inside_of_the_namespace_is_tried(tmp_path, monkeypatch):
    if reason := network.why_loopback():
        pytest.skip(f"namespaces cannot be had here, the demo would run on loopback: {reason}")
    refuse = 'if [ "$*" = "--net true" ]; then echo "no more namespaces" >&2; exit 1; fi'
    (tmp_path / "unshare").write_text(f'#!/bin/sh\n{refuse}\nexec {shutil.which("unshare")} "$@"\n')
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert network.why_loopback() == "this system does not permit them: no more namespaces"


@pytest.mark.parametrize(
    "error", [PermissionError(1, "not here"), subprocess.TimeoutExpired(["unshare"], 30)], ids=["refused", "hangs"]
)
def test_an_attempt_that_fails_is_the_reason_for_loopback(monkeypatch, error):
    def run(*_, **__):
        raise error

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(subprocess, "run", run)
    assert network.why_loopback() == f"this system does not permit them: {error}"


@pytest.mark.parametrize(("user", "pam"), [(0, "yes"), (1000, "no")], ids=["root", "user"])
def test_locked_accounts_get_in_by_pam_where_it_can_be_had(tmp_path, monkeypatch, user, pam):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    text = services._sshd_config(tmp_path, tmp_path, network.Host("cam-1", "127.0.0.1", 22))
    assert f"UsePAM {pam}\n" in text


@pytest.mark.parametrize("there", [False, True], ids=["made", "found"])
def test_the_folder_that_sshd_insists_on_goes_if_the_demo_made_it(tmp_path, monkeypatch, there):
    room = tmp_path / "sshd"
    monkeypatch.setattr(network, "_SSHD_ROOM", room)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    if there:
        room.mkdir()
    processes = Processes(tmp_path)
    network.loopback(["cam-1"], processes)
    assert room.is_dir(), "sshd as root cannot start without it"
    processes.stop()
    processes.stop()
    assert room.exists() == there, "the folder must be as it was before"


def test_processes_end_with_their_children_and_the_stubborn_too(tmp_path):
    processes = Processes(tmp_path)
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    stubborn = f"{deaf}  # {tmp_path}"
    parent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {stubborn!r}]); time.sleep(600)"
    processes.start("parent", [sys.executable, "-c", parent])
    while "up" not in processes.log("parent"):
        time.sleep(0.05)
    assert processes.ended() == []
    assert len(left_behind(tmp_path)) == 2, "the test does not see the two processes"
    processes.stop()
    processes.stop()
    assert left_behind(tmp_path) == [], "a child outlived its parent"


def test_a_session_of_its_own_ends_with_who_started_it(tmp_path):
    """As an ssh server's: without the group, without the environment, and it would bring a removed folder back."""
    processes, place = Processes(tmp_path), tmp_path / "place"
    busy = f"import os, time\nwhile True: os.makedirs({str(place)!r}, exist_ok=True); time.sleep(0.01)"
    server = (
        "import subprocess, sys, time; "
        f"subprocess.Popen([sys.executable, '-c', {busy!r}], env={{}}, start_new_session=True); time.sleep(600)"
    )
    processes.start("server", [sys.executable, "-c", server])
    while not place.exists():
        time.sleep(0.05)
    processes.stop()
    place.rmdir()
    time.sleep(0.1)
    assert not place.exists(), "a session outlived the server that started it"
