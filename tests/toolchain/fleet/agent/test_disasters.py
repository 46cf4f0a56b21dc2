"""Full disk, read-only file system, damaged slots and state files: what runs stays, and it mends itself."""

import errno
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from profiles.errors import EdgewrightError, OutputError, VerificationError
from tests.toolchain.fleet.agent.fleet_device import contents, packed, plan_of, release_of, ship
from tests.toolchain.fleet.agent.fleet_worlds import CalmRuntime, live, world
from tests.toolchain.fleet.agent.test_power import running
from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.agent.keep import read_state

ROOT = Path(__file__).resolve().parents[4]
#: Changes that need room.
GROWING = ("write", "add", "folder", "link", "copy", "symlink")


class Full(Disk):
    """A disk that is full from its change ``number`` on, or read-only."""

    def __init__(self, number, code):
        self.left, self.code = number, code
        super().__init__(self.refuse)

    def refuse(self, word, path):
        self.left -= 1
        if self.left <= 0 and (word in GROWING or self.code == errno.EROFS):
            raise OSError(self.code, os.strerror(self.code), str(path))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS], ids=["full", "read-only"])
@pytest.mark.parametrize("new", [2, 3], ids=["good", "bad"])
def test_the_disk_is_full_or_read_only_from_any_change_on(tmp_path, prepared, code, new):
    """Until then all goes well; after it, the old or the new runs; and when the disk is well again, all ends well."""
    if new == 3:
        prepared.release(release_of(3, packed(prepared, contents(3, ill=True))))
        prepared.plan(plan_of(3, soak=15.0))
    ends = 2 if new == 2 else 1
    for number in itertools.count(1, 4):
        folder = tmp_path / "tried"
        shutil.copytree(tmp_path / "device", folder, symlinks=True)
        disk = Full(number, code)
        try:
            live(folder, prepared.folder, disk=disk)
        except EdgewrightError as error:
            assert new == 3 or isinstance(error, (OutputError, VerificationError)), error
        assert running(folder) in (1, new), f"full from change {number} on"
        for _ in range(2):  # the first may end what was begun, the second tries again
            try:
                live(folder, prepared.folder)
            except VerificationError as error:
                assert "health" in str(error) or "files" in str(error) or "space" in str(error), error
        assert running(folder) == ends, f"full from change {number} on: {read_state(folder / 'state.json')}"
        shutil.rmtree(folder)
        if disk.left > 0:
            break
    assert number > 60, "the disk was never full"


@pytest.mark.parametrize("since", ["switch", "probe"])
def test_going_back_works_on_a_disk_that_is_full(tmp_path, prepared, since):
    """The release turns bad while it soaks, and not one byte can be written: ``current`` goes back all the same."""
    prepared.release(release_of(3, packed(prepared, contents(3, ill=True))))
    prepared.plan(plan_of(3))

    class FullLater(Disk):
        def __init__(self):
            self.full = False
            super().__init__(self.refuse)

        def refuse(self, word, path):
            if since == "switch" and word == "rename" and path.name == "current":
                self.full = True
            elif self.full and word in ("write", "add", "copy"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    disk = FullLater()

    class Fills(CalmRuntime):
        def health(self, folder):
            disk.full = True
            return super().health(folder)

    with pytest.raises(EdgewrightError):
        live(tmp_path / "device", prepared.folder, disk=disk, runtime=Fills())
    assert running(tmp_path / "device") == 1, "a bad release was left running because the disk is full"
    with pytest.raises(VerificationError):
        live(tmp_path / "device", prepared.folder)
    assert running(tmp_path / "device") == 1


SCRIPT = """set -e
mount -t tmpfs -o size=32m tmpfs "$1/mnt"
cp -a "$1/kept/." "$1/mnt"
{prepare}
set +e
"$2" -m toolchain.fleet.agent.main run --once --config "$1/mnt/agent.toml"; echo "code $?"
readlink "$1/mnt/state/current"
{mend}
"$2" -m toolchain.fleet.agent.main run --once --config "$1/mnt/agent.toml"; echo "code $?"
readlink "$1/mnt/state/current"
"""


@pytest.mark.parametrize(
    ("prepare", "mend", "words"),
    [
        ('head -c 40000000 /dev/zero > "$1/mnt/filler" || true', 'rm "$1/mnt/filler"', "free some space"),
        ('mount -o remount,ro "$1/mnt"', 'mount -o remount,rw "$1/mnt"', "read-only"),
    ],
    ids=["full", "read-only"],
)
def test_a_real_file_system_that_is_full_or_read_only(mirror, device, first, tmp_path, prepare, mend, words):
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], check=False).returncode:
        pytest.skip("needs user namespaces")
    ship(mirror, 2)
    (tmp_path / "mnt").mkdir()
    shutil.copytree(device.home, tmp_path / "kept", symlinks=True)
    script = SCRIPT.format(prepare=prepare, mend=mend)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [*unshare, "sh", "-c", script, "sh", str(tmp_path), sys.executable]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.stdout.split() == ["code", "2", "slots/a", "code", "0", "slots/b"], done.stdout + done.stderr
    assert words in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "link", "folder"])
@pytest.mark.parametrize("name", ["bundle/weights.bin", "runtime.pyz", "slot.json"])
def test_a_damaged_slot_is_mended(mirror, device, first, name, damage, tmp_path):
    path = device.folder / "slots/a" / name
    content = path.read_bytes()
    path.unlink()
    if damage == "flip":
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif damage == "folder":
        path.mkdir()
    text = device.once()
    assert "is damaged on this disk" in text and "is whole again" in text
    assert device.running() == 1 and path.read_bytes() == content and not path.is_symlink()
    assert "damaged" not in device.once()


def test_a_damaged_slot_that_cannot_be_mended_now_says_so(mirror, device, first, web):
    (device.folder / "slots/a/bundle/weights.bin").write_bytes(b"rust")
    web.faults["blobs/"] = lambda handler, path: handler.send_error(500)
    assert "is damaged on this disk" in device.once(code=7)
    web.faults.clear()
    device.once()
    assert device.running() == 1


def test_a_slot_that_is_gone_is_made_again(mirror, device, first):
    shutil.rmtree(device.folder / "slots")
    device.once()
    assert device.running() == 1 and device.state.running == 1


@pytest.mark.parametrize("damage", [b"", b"{", b"\x00" * 500, None], ids=["empty", "half", "zeros", "gone"])
def test_a_damaged_state_file_is_mended_from_its_copy(mirror, device, first, damage):
    before, path = device.state, device.folder / "state.json"
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    ship(mirror, 2)
    assert "its copy is whole" in device.once()
    assert device.running() == 2 and device.state.counter >= before.counter


@pytest.mark.parametrize("damage", [b"{", None], ids=["half", "gone"])
def test_two_damaged_state_files_are_mended_from_the_slots(mirror, device, first, damage):
    ship(mirror, 2)
    device.once()
    for name in ("state.json", "state.json.bak"):
        (device.folder / name).unlink()
        if damage is not None:
            (device.folder / name).write_bytes(damage)
    text = device.once()
    assert "the slots say that version 2 runs" in text
    state = device.state
    assert (device.running(), state.running, state.slot, state.floors["sequence"]) == (2, 2, "b", 2)


def test_two_damaged_state_files_in_the_midst_of_a_soak_go_back(mirror, device, first):
    """The new slot has not passed its soak, and nothing says any more that it was being tried."""
    ship(mirror, 2)
    device.once()
    (device.folder / "slots/b/committed").unlink()
    for name in ("state.json", "state.json.bak"):
        (device.folder / name).unlink()
    mirror.plan(plan_of(2, 3, state="paused"))
    device.once()
    assert device.running() == 1 and device.state.running == 1


@pytest.mark.parametrize("leads", ["nowhere", "there"])
def test_two_damaged_state_files_and_no_committed_slot(tmp_path, prepared, leads):
    """A slot that was fetched, and not checked to its end, counts only where ``current`` leads to it."""
    folder = tmp_path / "device"
    (folder / "slots/a/committed").unlink()
    for name in ("state.json", "state.json.bak"):
        (folder / name).write_bytes(b"{")
    if leads == "nowhere":
        (folder / "current").unlink()
    said = []
    state = world(folder, prepared.folder, said=said).keeper.load()
    assert (state.running, state.slot) == ((1, "a") if leads == "there" else (0, ""))
    assert f"version {1 if leads == 'there' else 'none'} runs" in said[0]


@pytest.mark.parametrize(
    ("damage", "words"), [(lambda path: path.write_bytes(b"{"), "damaged"), (None, "Is a directory")],
    ids=["half", "folder"],
)  # fmt: skip
def test_the_status_of_a_state_that_cannot_be_read_is_no_new_device(device, first, damage, words):
    for name in ("state.json", "state.json.bak"):
        path = device.folder / name
        if damage is None:
            path.unlink()
            path.mkdir()
        else:
            damage(path)
    for more in ([], ["--json"]):
        code, text = device.call("status", *more)
        assert code == 2 and "cannot read the agent's state" in text and words in text and "next:" in text


def test_the_status_reads_the_copy_and_that_of_a_new_device_is_empty(device, first):
    (device.folder / "state.json").write_bytes(b"{")
    assert "version 1 of doorbell" in device.call("status")[1]
    for name in ("state.json", "state.json.bak"):
        (device.folder / name).unlink()
    code, text = device.call("status")
    assert code == 0 and "version none of doorbell" in text


def test_current_that_leads_elsewhere_is_put_right(device, first, tmp_path):
    (device.folder / "current").unlink()
    device.once()
    assert device.running() == 1
    (device.folder / "current").unlink()
    (device.folder / "current").symlink_to(tmp_path)
    device.once()
    assert device.running() == 1


def test_damaged_metadata_is_fetched_again(mirror, device, first):
    for path in (device.folder / "metadata").iterdir():
        if path.suffix == ".json" and not path.is_symlink():
            path.write_bytes(b"")
    for path in (device.folder / "metadata/root_history").iterdir():
        path.write_bytes(b"")
    ship(mirror, 2)
    device.once()
    assert device.running() == 2


def test_a_release_that_ends_the_agent_again_and_again_is_given_up(tmp_path, prepared):
    """Every start of a check takes the whole machine down: after three it is the release's fault."""

    class Ends(Exception):
        pass

    class Deadly(CalmRuntime):
        def golden(self, folder):
            raise Ends

    for _ in range(3):
        with pytest.raises(Ends):
            live(tmp_path / "device", prepared.folder, runtime=Deadly())
    with pytest.raises(VerificationError, match="ended 3 times"):
        live(tmp_path / "device", prepared.folder, runtime=Deadly())
    assert running(tmp_path / "device") == 1
    assert read_state(tmp_path / "device/state.json").failed == {"2": "crash"}


def test_too_little_space_is_seen_before_anything_is_fetched(mirror, device, first, web, monkeypatch):
    ship(mirror, 2)
    real = os.statvfs

    def little(path):
        found = real(path)
        return type("Full", (), {"f_bavail": 10, "f_frsize": found.f_frsize})()

    monkeypatch.setattr(os, "statvfs", little)
    web.asked.clear()
    assert "wanted space for a release" in device.once(code=2)
    assert not web.fetched("blobs/") and device.running() == 1
    assert device.state.attempt.outcome == "underway" and device.state.attempt.reason == "space"
    monkeypatch.undo()
    device.once()
    assert device.running() == 2


def test_two_agents_do_not_work_in_one_folder(device, first):
    import fcntl

    with (device.folder / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another agent does" in device.once(code=2)
        code, text = device.call("enroll")
        assert code == 2 and "another agent does" in text and not (device.folder / "key.pem").exists()


def test_the_status_is_read_while_another_works(device, first):
    import fcntl

    with (device.folder / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, text = device.call("status", "--json")
    data = json.loads(text)
    assert code == 0 and (data["running"], data["slot"], data["current"], data["committed"]) == (1, "a", "a", True)
    assert "version 1 of doorbell" in device.call("status")[1]
