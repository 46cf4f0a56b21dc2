"""kill -9 at every point, and several builds at once: right bytes or none, and no garbage after the next build.

A child counts what it does and kills itself before its n-th step, for every n until it gets to its
end. Steps are of two sorts: every operation that the interpreter's audit hooks report (opening,
renaming, removing, locking a file, ...), and every line of the cache's own code.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

import toolchain.cache
from toolchain.cache import Cache
from toolchain.cache.entry import FILES

CONTENT = {"a.bin": bytes(range(256)) * 40, "sub/b.txt": b"text"}
OUR_CODE = str(Path(toolchain.cache.__file__).parent)
WATCHED = {
    "open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.utime", "os.truncate",
    "os.listdir", "os.scandir", "fcntl.flock", "shutil.rmtree",
}  # fmt: skip


@pytest.fixture
def room(tmp_path):
    """A folder in memory where the machine has one, so that hundreds of builds take seconds."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def no_flushing(monkeypatch):
    """What a process wrote outlives its kill -9 without fsync, which is there for power cuts (test_store.py)."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def produce(folder):
    for name, content in CONTENT.items():
        (folder / name).parent.mkdir(exist_ok=True)
        with (folder / name).open("wb", buffering=0) as stream:
            for start in range(0, len(content), 4096):
                stream.write(content[start : start + 4096])


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Countdown:
    """Kills this process before its n-th step."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def tick(self) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1

    def by_operation(self) -> None:
        sys.addaudithook(lambda event, arguments: self.tick() if event in WATCHED else None)

    def by_line(self) -> None:
        def trace(frame, event, argument):
            if event == "line":
                self.tick()
            return trace

        sys.settrace(lambda frame, *_: trace if frame.f_code.co_filename.startswith((OUR_CODE, __file__)) else None)


def _fresh(root):
    return {}


def _hit(root):
    with Cache(root) as cache:
        cache.folder("step", {"name": "a"}, produce)
    return {}


def _damaged(root):
    with Cache(root) as cache:
        data = cache.folder("step", {"name": "a"}, produce).path / "a.bin"
    data.chmod(0o644)
    data.write_bytes(b"wrong" * 2048)
    return {}


def _crowded(root):
    with Cache(root) as cache:
        cache.folder("step", {"name": "old"}, produce)
        cache.folder("step", {"name": "older"}, produce)
    return {"limit": 0}


SITUATIONS = {"fresh": _fresh, "hit": _hit, "damaged": _damaged, "crowded": _crowded}


@pytest.mark.parametrize("sort", ["by_operation", "by_line"])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_killed_at_every_step(room, fork, exit_status, situation, sort):
    pristine = room / "pristine"
    options = SITUATIONS[situation](pristine)
    stride = 1 if sort == "by_operation" else 5
    steps, killed = random.Random(situation).randrange(stride), 0
    while True:
        root = room / f"cache-{steps}"
        if pristine.exists():
            shutil.copytree(pristine, root)

        def build(root=root, steps=steps):
            getattr(Countdown(steps), sort)()
            with Cache(root, note=lambda text: None, **options) as cache:
                cache.folder("step", {"name": "a"}, produce)
                cache.clean()
            os._exit(0)

        status = exit_status(fork(build))
        assert status in (0, -signal.SIGKILL), f"the child ended with {status} at step {steps}"
        _check_after(root, f"{situation}, killed {sort} {steps}")
        shutil.rmtree(root)
        if status == 0:
            break
        steps, killed = steps + stride, killed + 1
    assert killed > 20, f"only {killed} points were tried: the hook does not see what the cache does"


def _check_after(root, when):
    entries_before = {path.name for path in (root / "entries").iterdir()} if (root / "entries").exists() else set()
    calls = []

    def again(folder):
        calls.append(folder)
        produce(folder)

    with Cache(root, note=lambda text: None) as cache:
        for name in ("a", "old", "older"):
            step = cache.folder("step", {"name": name}, again)
            assert contents(step.path) == CONTENT, f"wrong bytes after: {when}"
            assert not step.hit or step.key in entries_before, f"a hit out of nothing after: {when}"
        cache.clean()
        assert list((root / "work").iterdir()) == [], f"garbage after: {when}"
        entries = {path.name for path in (root / "entries").iterdir()}
        locks = {path.stem for path in (root / "locks").iterdir()}
        assert len(entries) == 3, f"strange entries after: {when}"
        assert locks <= entries, f"locks without entries after: {when}"
        assert {path.name for path in root.iterdir()} == {"entries", "locks", "work", "CACHEDIR.TAG"}, when
        assert all(path.name in (FILES, "entry.json") for key in entries for path in (root / "entries" / key).iterdir())


def test_two_builds_at_once_make_an_entry_once(tmp_path, fork, exit_status):
    log, gate = tmp_path / "log", os.pipe()

    def build():
        notes = []
        os.read(gate[0], 1)

        def slowly(folder):
            with log.open("ab", buffering=0) as stream:
                stream.write(b"m")
            time.sleep(0.2)
            produce(folder)

        with Cache(tmp_path / "cache", note=notes.append) as cache:
            step = cache.folder("step", {}, slowly)
            assert contents(step.path) == CONTENT
            return 10 + step.hit + 10 * any("waiting for another build" in note for note in notes)

    children = [fork(build) for _ in range(2)]
    os.write(gate[1], b"xx")
    assert sorted(exit_status(child) for child in children) == [10, 21], (
        "one makes it, the other waits, says so, and hits"
    )
    assert log.read_bytes() == b"m"


def test_who_waits_takes_over_when_the_maker_is_killed(tmp_path, fork, exit_status):
    started = os.pipe()

    def stuck(folder):
        (folder / "half").write_bytes(b"half")
        os.write(started[1], b"x")
        time.sleep(60)

    def maker():
        with Cache(tmp_path) as cache:
            cache.folder("step", {}, stuck)

    child = fork(maker)
    os.read(started[0], 1)
    waiting, steps = threading.Event(), []

    def waiter():
        with Cache(tmp_path, note=lambda text: waiting.set()) as cache:
            steps.append(cache.folder("step", {}, produce))

    thread = threading.Thread(target=waiter)
    thread.start()
    assert waiting.wait(10), "the second build never got to wait for the first"
    os.kill(child, signal.SIGKILL)
    assert exit_status(child) == -signal.SIGKILL
    thread.join(10)
    assert [step.hit for step in steps] == [False]
    assert contents(steps[0].path) == CONTENT
    with Cache(tmp_path):
        assert list((tmp_path / "work").iterdir()) == []


def test_a_living_build_is_not_cleaned_away(tmp_path, fork, exit_status):
    """The other way round: cleaning up must not take a living maker's folder for garbage."""
    started, go = os.pipe(), os.pipe()

    def patient(folder):
        (folder / "early").write_bytes(b"early")
        os.write(started[1], b"x")
        os.read(go[0], 1)
        assert (folder / "early").read_bytes() == b"early"

    def maker():
        with Cache(tmp_path) as cache:
            return 10 + cache.folder("step", {}, patient).hit

    child = fork(maker)
    os.read(started[0], 1)
    with Cache(tmp_path, limit=0) as cache:
        assert cache.clean() == 0
    os.write(go[1], b"x")
    assert exit_status(child) == 10


def test_builds_that_come_and_go_under_a_tight_limit(room, fork, exit_status):
    """Four builds fight over six entries with room for two, and are killed at random times."""
    root, dice = room / "cache", random.Random(1)

    def produce_numbered(number):
        return lambda folder: (folder / "data").write_bytes(bytes([number]) * 20_000)

    def build(seed):
        own = random.Random(seed)
        notes = []
        while True:
            with Cache(root, limit=45_000, note=notes.append) as cache:
                for _ in range(3):
                    number = own.randrange(6)
                    step = cache.folder("step", {"number": number}, produce_numbered(number))
                    if (step.path / "data").read_bytes() != bytes([number]) * 20_000:
                        return 11
                if any("damaged" in note for note in notes):
                    return 12

    children = [fork(lambda seed=seed: build(seed)) for seed in range(4)]
    for seed in range(4, 24):
        time.sleep(dice.uniform(0.01, 0.15))
        victim = children.pop(0)
        os.kill(victim, signal.SIGKILL)
        assert exit_status(victim) == -signal.SIGKILL, (
            "11: wrong bytes came out; 12: an entry was damaged; 70: see above"
        )
        children.append(fork(lambda seed=seed: build(seed)))
    for child in children:
        os.kill(child, signal.SIGKILL)
        assert exit_status(child) == -signal.SIGKILL
    with Cache(root, limit=45_000) as cache:
        cache.clean()
        assert cache.size() <= 45_000
        assert list((root / "work").iterdir()) == []
        for number in range(6):
            assert (cache.folder("step", {"number": number}, produce_numbered(number)).path / "data").read_bytes() == (
                bytes([number]) * 20_000
            )
