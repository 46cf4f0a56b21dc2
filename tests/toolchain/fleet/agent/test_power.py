"""Power fails at any moment: the agent is killed at every change of the disk, and starts again."""

import functools
import itertools
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from profiles.errors import VerificationError
from tests.toolchain.fleet.agent.fleet_device import Device, contents, packed, plan_of, release_of, ship
from tests.toolchain.fleet.agent.fleet_repository import Mirror
from tests.toolchain.fleet.agent.fleet_web import Web
from tests.toolchain.fleet.agent.fleet_worlds import killed_at, live, make_home
from toolchain.fleet.agent.keep import read_state

ROOT = Path(__file__).resolve().parents[4]
#: System calls that change the disk (or may: ``write`` is also for the terminal, ``openat`` creates files).
CALLS = (
    "write,pwrite64,writev,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,"
    "fsync,fdatasync,chmod,fchmod,fchmodat,ftruncate,sendfile,copy_file_range"
)


def running(folder):
    device = Device.__new__(Device)
    device.folder = folder
    return device.running()


def every_kill(tmp_path, mirror, new, ends, outcome, act, old=1):
    """Kill a copy of the device at its 1st, 2nd, … change; after a new start it must have ended well. Gives how many.

    ``act(folder, disk)`` is what the agent does until it is killed.
    """
    for number in itertools.count(1):
        folder = tmp_path / f"device-{number}"
        shutil.copytree(tmp_path / "device", folder, symlinks=True)
        if not killed_at(number, functools.partial(act, folder)):
            break
        seen = running(folder)
        assert seen in (old, new), f"killed at change {number}: version {seen} runs"
        try:
            live(folder, mirror.folder)
        except VerificationError as error:
            assert outcome != "committed", f"killed at change {number}: {error}"
        state = read_state(folder / "state.json")
        assert running(folder) == ends, f"killed at change {number}: version {running(folder)} runs at last"
        assert (state.attempt.stage, state.attempt.outcome) == ("idle", outcome), f"killed at change {number}"
        assert state.running == ends and (folder / "slots" / state.slot / "committed").exists()
        shutil.rmtree(folder)
    return number - 1


def test_power_fails_at_every_change_of_an_update(tmp_path, prepared):
    def act(folder, disk):
        live(folder, prepared.folder, disk=disk)

    count = every_kill(tmp_path, prepared, 2, 2, "committed", act)
    assert count > 100, f"only {count} changes were seen"


def test_power_fails_at_every_change_of_an_update_that_is_rolled_back(tmp_path, prepared):
    files = contents(3, ill=True)
    prepared.release(release_of(3, packed(prepared, files)))
    prepared.plan(plan_of(3, soak=15.0))

    def act(folder, disk):
        with pytest.raises(VerificationError):
            live(folder, prepared.folder, disk=disk)

    count = every_kill(tmp_path, prepared, 3, 1, "rolled-back", act)
    assert count > 100, f"only {count} changes were seen"


def test_power_fails_at_every_change_of_mending_a_damaged_slot(tmp_path, prepared):
    live(tmp_path / "device", prepared.folder)
    record = read_state(tmp_path / "device/state.json")
    for name in ("weights.bin", "labels.txt"):
        (tmp_path / "device/slots" / record.slot / "bundle" / name).unlink()
        (tmp_path / "device/slots" / record.slot / "bundle" / name).write_bytes(b"rust")
    for number in itertools.count(1):
        folder = tmp_path / f"device-{number}"
        shutil.copytree(tmp_path / "device", folder, symlinks=True)
        if not killed_at(number, lambda disk, folder=folder: live(folder, prepared.folder, disk=disk)):
            break
        live(folder, prepared.folder)
        assert running(folder) == 2, f"killed at change {number} of mending"
        shutil.rmtree(folder)
    assert number > 20, f"only {number} changes were seen"


def test_power_fails_at_every_change_of_a_first_install(tmp_path):
    mirror = Mirror(tmp_path / "mirror")
    ship(mirror, 1)
    make_home(tmp_path / "device", mirror.first_root())

    def act(folder, disk):
        live(folder, mirror.folder, disk=disk)

    count = every_kill(tmp_path, mirror, 1, 1, "committed", act, old=0)
    assert count > 80, f"only {count} changes were seen"


def test_power_fails_again_and_again_while_it_recovers(tmp_path, prepared):
    """Seeded places: up to five cuts in a row, each somewhere in the round that should make the one before good."""
    places = random.Random(2)
    for number in range(40):
        folder = tmp_path / f"device-{number}"
        shutil.copytree(tmp_path / "device", folder, symlinks=True)
        cuts = [places.randint(1, 190) for _ in range(places.randint(2, 5))]
        for cut in cuts:
            killed_at(cut, lambda disk, folder=folder: live(folder, prepared.folder, disk=disk))
            assert running(folder) in (1, 2), f"cuts {cuts}: version {running(folder)} runs"
        try:
            live(folder, prepared.folder)
            wanted = 2
        except VerificationError as error:
            assert "ended 3 times" in str(error), f"cuts {cuts}: {error}"
            wanted = 1  # three starts in one install are held to be the release's fault
        assert running(folder) == wanted, f"cuts {cuts}: version {running(folder)} runs at last"
        assert read_state(folder / "state.json").running == wanted
        shutil.rmtree(folder)


def strike(device, call="", number=0):
    """One round under strace, killed on entering the ``number``-th system call of a name; the names that strace saw."""
    log = device.home / "strace.log"
    words = ["strace", "-o", str(log), "-e", f"trace={CALLS}", "-e", "signal=none"]
    words += ["-e", f"inject={call}:signal=SIGKILL:when={number}"] if number else []
    agent = [sys.executable, "-m", "toolchain.fleet.agent.main", "run", "--once", "--config", str(device.config)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*words, *agent], capture_output=True, text=True, env=environment, check=False, timeout=60)
    return done.returncode, re.findall(r"^(\w+)\(", log.read_text(), re.MULTILINE), done.stderr


def test_the_real_program_is_killed_by_the_kernel_at_system_calls(tmp_path):
    """Spread over all of them; EDGEWRIGHT_EVERY_SYSCALL=1 takes every single one (minutes)."""
    if shutil.which("strace") is None:
        if os.environ.get("CI"):
            pytest.fail("strace is not installed")
        pytest.skip("needs strace")
    mirror = Mirror(tmp_path / "mirror")
    first, web = ship(mirror, 1), Web(mirror.folder)
    try:
        device = Device(tmp_path / "home", web.url, mirror.first_root(), measure_seconds=0.01)
        device.once()
        ship(mirror, 2, old=first)
        shutil.copytree(tmp_path / "home", tmp_path / "kept", symlinks=True)
        status, seen, said = strike(device, 0)
        assert status == 0 and device.running() == 2, said
        kills = [(name, seen[: at + 1].count(name)) for at, name in enumerate(seen)]
        assert len(kills) > 100, f"only {len(kills)} system calls were seen"
        for name, number in kills if os.environ.get("EDGEWRIGHT_EVERY_SYSCALL") else kills[7 :: len(kills) // 12]:
            shutil.rmtree(tmp_path / "home")
            shutil.copytree(tmp_path / "kept", tmp_path / "home", symlinks=True)
            status, _, said = strike(device, name, number)
            assert status in (-9, 137), f"{name} {number} of {len(kills)}: ended with {status}: {said}"
            device.whole(1, 2)
            text = device.once()
            assert device.running() == 2, f"killed at {name} {number}: {text}"
            assert (device.state.attempt.outcome, device.state.running) == ("committed", 2), text
    finally:
        web.close()
