"""Readers see the old or the new, and writers may be killed at any moment."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from profiles.errors import OutputError, VerificationError
from tests.toolchain.fleet.fleet_homes import a_plan, a_release, client_of, make_fleet, passphrase
from toolchain.fleet.home import open_home
from toolchain.fleet.trust import journal
from toolchain.fleet.trust.repository import Repository


@pytest.fixture
def fleet(tmp_path):
    made = make_fleet(tmp_path / "home")
    made.add_release(a_release())
    made.set_plan(a_plan())
    return made


def again(fleet):
    return Repository(open_home(fleet.home.folder), passphrase)


def test_readers_never_see_half_of_anything(fleet, tmp_path):
    """Devices, new and old, in a loop, while releases and plans come and keys go."""
    over, problems, looks = threading.Event(), [], [0, 0]

    def read(number):
        newest = 0
        while not over.is_set():
            device = client_of(fleet, tmp_path / f"device{number}-{looks[number] if number else 0}")
            try:
                plan = device.plan()
                release = device.release(plan.release)
                assert release.version == plan.release >= newest
                newest = plan.release
            except BaseException as error:
                problems.append(error)
                return
            looks[number] += 1

    readers = [threading.Thread(target=read, args=(number,)) for number in range(2)]
    for reader in readers:
        reader.start()
    for number in range(2, 12):
        fleet.add_release(a_release(number))
        fleet.set_plan(a_plan(number, release=number))
        fleet.rotate(("timestamp", "root", "snapshot", "targets", "rollouts")[number % 5])
    over.set()
    for reader in readers:
        reader.join()
    assert not problems, f"a device met: {problems[0]!r}"
    assert min(looks) > 10, f"the devices looked only {looks} times: the test shows nothing"


ACTS = {
    "release": lambda fleet: fleet.add_release(a_release(2)),
    "plan": lambda fleet: fleet.set_plan(a_plan(2)),
    "renew": lambda fleet: fleet.renew(["targets", "snapshot"]),
    "rotate timestamp": lambda fleet: fleet.rotate("timestamp"),
    "rotate root": lambda fleet: fleet.rotate("root"),
    "rotate releases": lambda fleet: fleet.rotate("releases"),
    "rotate all": lambda fleet: fleet.rotate("root", "targets", "snapshot", "timestamp", "releases", "rollouts"),
}


class Killed(BaseException):
    """The power failed."""


@pytest.mark.parametrize("name", ACTS)
def test_a_writer_may_be_killed_before_each_file(fleet, tmp_path, monkeypatch, name):
    """At every file in turn: devices find something whole, and the next writer goes on."""
    real, count, killed = journal.put, 0, 0
    device = client_of(fleet, tmp_path / "device")
    device.updater()
    for moment in range(100):
        writes = 0

        def put(path, content, *, moment=moment, **given):
            nonlocal writes
            writes += 1
            if writes > moment:
                raise Killed
            real(path, content, **given)

        version = fleet.state().timestamp.version
        monkeypatch.setattr(journal, "put", put)
        try:
            _vary(again(fleet), name, moment)
        except Killed:
            killed += 1
        monkeypatch.setattr(journal, "put", real)
        for victim in (device, client_of(fleet, tmp_path / f"fresh{moment}")):
            assert victim.release() == a_release(), f"killed before write {moment + 1}"
        assert again(fleet).state().timestamp.version >= version
        again(fleet).renew(["timestamp"])
        assert not (fleet.home.folder / journal.FILE).exists(), "the next writer carries the journal out"
        for victim in (device, client_of(fleet, tmp_path / f"later{moment}")):
            assert victim.release() == a_release() and victim.plan() is not None
        count = writes
        if writes <= moment:
            break
    assert killed == count >= 4, f"killed {killed} times, the act writes {count} files"


def _vary(fleet, name, moment):
    """The act, so that it can be done many times."""
    if name == "release":
        fleet.add_release(a_release(max(fleet.versions("cam")) + 1))
    elif name == "plan":
        fleet.set_plan(a_plan(fleet.plan("cam", "stable").sequence + 1))
    else:
        ACTS[name](fleet)


def test_a_full_disk_leaves_the_old_state(fleet, monkeypatch, untouched):
    check = untouched(fleet.home.folder)

    def full(path, content, **given):
        raise OutputError(f"cannot write {path}", seen="No space left on device")

    monkeypatch.setattr(journal, "write_bytes", full)
    with pytest.raises(OutputError, match="cannot write"):
        fleet.add_release(a_release(2))
    check()


@pytest.mark.parametrize("harm", [b"", b"{}", b"[]", b'{"files":[["../x","YQ=="]],"sha256":"0"}'])
def test_a_damaged_journal_is_told_and_not_carried_out(fleet, harm, untouched):
    (fleet.home.folder / journal.FILE).write_bytes(harm)
    check = untouched(fleet.home.folder)
    with pytest.raises(VerificationError, match=r"journal\.json is damaged"):
        fleet.refresh()
    check()


LOOP = """
import sys
from tests.toolchain.fleet.fleet_homes import a_plan, a_release, passphrase
from toolchain.fleet.home import open_home
from toolchain.fleet.trust.repository import Repository
fleet = Repository(open_home(sys.argv[1]), passphrase)
print("ready", flush=True)
while True:
    version = max(fleet.versions("cam")) + 1
    fleet.add_release(a_release(version))
    fleet.set_plan(a_plan(version, release=version))
    fleet.rotate(("timestamp", "root", "rollouts")[version % 3])
"""


def start(fleet):
    here = Path(__file__).parents[4]
    env = {**os.environ, "PYTHONPATH": str(here)}
    made = subprocess.Popen(
        [sys.executable, "-c", LOOP, fleet.home.folder], stdout=subprocess.PIPE, text=True, env=env, cwd=here
    )
    assert made.stdout.readline() == "ready\n"
    return made


def test_a_process_that_is_killed_leaves_a_whole_repository(fleet, tmp_path):
    """SIGKILL after different times, in the middle of writing, whatever that is."""
    device, seen = client_of(fleet, tmp_path / "device"), [1]
    for number in range(8):
        process = start(fleet)
        time.sleep(0.05 + 0.037 * number)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        plan = device.plan()
        assert device.release(plan.release).version == plan.release
        again(fleet).refresh()
        seen.append(max(again(fleet).versions("cam")))
        again(fleet).add_release(a_release(seen[-1] + 1))
        assert device.release(seen[-1] + 1) is not None
    assert seen == sorted(seen) and seen[-1] > len(seen), f"the writers must have written something: {seen}"


def test_writers_do_not_lose_each_others_work(fleet):
    """Four writers of one repository: every plan that was signed is there, none was lost."""
    made, refused = [], []

    def work(channel):
        mine = again(fleet)
        for sequence in range(1, 6):
            mine.set_plan(a_plan(sequence, channel=channel))
            made.append((channel, sequence))

    def guarded(channel):
        try:
            work(channel)
        except BaseException as error:
            refused.append(error)

    threads = [threading.Thread(target=guarded, args=(f"c{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not refused and len(made) == 20
    assert {plan.channel: plan.sequence for plan in fleet.plans()} == {"stable": 1, **{f"c{n}": 5 for n in range(4)}}
