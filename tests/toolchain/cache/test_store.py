"""The cache in one process: hits, misses, damage, refusals, threads."""

import os
import resource
import shutil
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.errors import DataError, OutputError
from toolchain.cache import Cache
from toolchain.cache.entry import FILES, MANIFEST

CONTENT = {"model.onnx": b"weights" * 50, "sub/deep/table.json": b"{}", "empty": b""}


class Maker:
    """A step that writes CONTENT and counts how often it was asked to."""

    def __init__(self):
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        for name, content in CONTENT.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def notes():
    return []


@pytest.fixture
def cache(tmp_path, notes):
    with Cache(tmp_path / "cache", note=notes.append) as cache:
        yield cache


def test_the_second_time_is_a_hit(cache):
    maker = Maker()
    first = cache.folder("export", {"x": 1}, maker)
    second = cache.folder("export", {"x": 1}, maker)
    assert (first.hit, second.hit, maker.calls) == (False, True, 1)
    assert contents(first.path) == contents(second.path) == CONTENT
    assert second.made_in == first.made_in > 0
    assert first.seconds >= first.made_in, "looking up includes making"


def test_a_hit_in_a_later_process_of_the_same_cache(tmp_path):
    with Cache(tmp_path) as one:
        made = one.folder("export", {}, Maker())
    with Cache(tmp_path) as two:
        found = two.folder("export", {}, Maker())
    assert found.hit
    assert found.path == made.path


@pytest.mark.parametrize(
    ("name", "inputs", "version"), [("other", {"x": 1}, 1), ("export", {"x": 2}, 1), ("export", {"x": 1}, 2)]
)
def test_other_inputs_are_another_entry(cache, name, inputs, version):
    cache.folder("export", {"x": 1}, Maker())
    assert not cache.folder(name, inputs, Maker(), version=version).hit


def test_files_are_read_only_and_keep_the_right_to_run(cache):
    def produce(folder):
        (folder / "data").write_bytes(b"x")
        (folder / "tool").write_bytes(b"#!/bin/sh\n")
        (folder / "tool").chmod(0o755)

    step = cache.folder("tool", {}, produce)
    assert stat.S_IMODE((step.path / "data").stat().st_mode) & 0o222 == 0
    assert stat.S_IMODE((step.path / "tool").stat().st_mode) == 0o555


def test_what_produce_raises_passes_through_and_nothing_is_kept(cache):
    def produce(folder):
        (folder / "half").write_bytes(b"half")
        raise DataError("the data set is empty")

    for wrong in (produce, lambda folder: (folder / "no" / "such").write_bytes(b"x")):
        with pytest.raises((DataError, FileNotFoundError)):
            cache.folder("train", {}, wrong)
    assert list((cache.root / "entries").iterdir()) == []
    assert list((cache.root / "work").iterdir()) == []
    assert not cache.folder("train", {}, Maker()).hit


@pytest.mark.parametrize("kind", ["symlink", "hard link", "fifo"])
def test_only_plain_files_of_its_own(cache, tmp_path, kind):
    outside = tmp_path / "outside"
    outside.write_bytes(b"x")
    outside.chmod(0o644)

    def produce(folder):
        {"symlink": os.symlink, "hard link": os.link, "fifo": lambda _, path: os.mkfifo(path)}[kind](
            outside, folder / "f"
        )

    with pytest.raises(OutputError, match="cached step writes"):
        cache.folder("train", {}, produce)
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644, "a file outside of the cache was touched"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A cache with one entry, and that entry's key."""
    root = tmp_path_factory.mktemp("pristine") / "cache"
    with Cache(root) as cache:
        return root, cache.folder("export", {"x": 1}, Maker()).key


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_flipped_bit_anywhere_never_comes_out(pristine, tmp_path_factory, data):
    root, key = pristine
    work = tmp_path_factory.mktemp("flip")
    shutil.copytree(root, work / "cache")
    files = sorted(
        path for path in (work / "cache" / "entries" / key).rglob("*") if path.is_file() and path.stat().st_size
    )
    victim = data.draw(st.sampled_from(files))
    raw = bytearray(victim.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    victim.chmod(0o644)
    victim.write_bytes(raw)
    notes, maker = [], Maker()
    with Cache(work / "cache", note=notes.append) as cache:
        step = cache.folder("export", {"x": 1}, maker)
        assert contents(step.path) == CONTENT
        assert maker.calls == len(notes) == int(not step.hit), "a rebuild is always told, a hit never"
        assert victim.name == MANIFEST or not step.hit, "a changed file must be made again"
    shutil.rmtree(work)


def _replace_by_folder(path):
    path.unlink()
    path.mkdir()


def _replace_by_link(path):
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


DAMAGE = {
    "a file cut short": lambda entry: (entry / FILES / "model.onnx").write_bytes(b"weights"),
    "a file gone": lambda entry: (entry / FILES / "model.onnx").unlink(),
    "a file too many": lambda entry: (entry / FILES / "stranger").write_bytes(b""),
    "a folder instead of a file": lambda entry: _replace_by_folder(entry / FILES / "model.onnx"),
    "a link instead of a file": lambda entry: _replace_by_link(entry / FILES / "model.onnx"),
    "all files gone": lambda entry: shutil.rmtree(entry / FILES),
    "manifest gone": lambda entry: (entry / MANIFEST).unlink(),
    "manifest empty": lambda entry: (entry / MANIFEST).write_bytes(b""),
    "manifest a folder": lambda entry: _replace_by_folder(entry / MANIFEST),
    "manifest not an object": lambda entry: (entry / MANIFEST).write_bytes(b"[1]"),
    "manifest nested without end": lambda entry: (entry / MANIFEST).write_bytes(b"[" * 100_000),
    "the entry a file": lambda entry: (shutil.rmtree(entry), entry.write_bytes(b"")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_dropped_and_made_again(cache, notes, damage):
    maker = Maker()
    key = cache.folder("export", {}, maker).key
    for path in (cache.root / "entries" / key / FILES).rglob("*"):
        path.chmod(0o755)
    DAMAGE[damage](cache.root / "entries" / key)
    step = cache.folder("export", {}, maker)
    assert (step.hit, maker.calls) == (False, 2), f"{damage}: the entry was used"
    assert contents(step.path) == CONTENT
    assert len(notes) == 1, f"{damage}: the user is told once"
    assert "'export' is damaged" in notes[0]
    assert cache.folder("export", {}, maker).hit
    assert list((cache.root / "work").iterdir()) == []


def test_an_entry_under_a_wrong_key_is_not_used(cache, notes):
    one = cache.folder("export", {"x": 1}, Maker())
    two = cache.folder("export", {"x": 2}, lambda folder: (folder / "other").write_bytes(b"other"))
    shutil.rmtree(one.path.parent)
    shutil.copytree(two.path.parent, one.path.parent)
    assert contents(cache.folder("export", {"x": 1}, Maker()).path) == CONTENT
    assert len(notes) == 1


def test_many_threads_make_each_entry_once(cache, notes):
    makers = [Maker() for _ in range(3)]
    gate = threading.Barrier(12)
    steps = []

    def work(index):
        gate.wait()
        steps.append(cache.folder("export", {"x": index % 3}, makers[index % 3]))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [maker.calls for maker in makers] == [1, 1, 1]
    assert sum(not step.hit for step in steps) == 3
    assert all(contents(step.path) == CONTENT for step in steps)
    assert notes == [], "our own threads are not 'another build'"


def test_a_step_may_ask_for_another_step_while_it_runs(cache):
    def outer(folder):
        inner = cache.folder("inner", {}, Maker())
        shutil.copytree(inner.path, folder / "copy")

    step = cache.folder("outer", {}, outer)
    assert contents(step.path / "copy") == CONTENT


@pytest.mark.parametrize("where", ["produce", "manifest"])
def test_a_full_disk_is_an_error_in_words_and_leaves_nothing(tmp_path, fork, exit_status, where):
    """RLIMIT_FSIZE makes every write beyond 8 KiB fail as a full disk does (EFBIG instead of ENOSPC)."""
    inputs = {"x": "y" * (20_000 if where == "manifest" else 1)}

    def produce(folder):
        (folder / "large").write_bytes(b"z" * (20_000 if where == "produce" else 1))

    def build():
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
        with Cache(tmp_path / "cache") as cache, pytest.raises(OutputError) as caught:
            cache.folder("export", inputs, produce)
        assert "EDGEWRIGHT_CACHE" in caught.value.next_step
        assert "too large" in caught.value.seen
        assert list((cache.root / "work").iterdir()) == list((cache.root / "entries").iterdir()) == []

    assert exit_status(fork(build)) == 0, "see the child's traceback above"
    with Cache(tmp_path / "cache") as cache:
        assert not cache.folder("export", inputs, produce).hit


def test_everything_is_flushed_before_the_entry_appears(cache, monkeypatch):
    """For power cuts: contents, then folders, then the manifest, then the rename, then the folder it appears in."""
    order, fsync, rename = [], os.fsync, Path.rename

    def note_fsync(handle):
        order.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        fsync(handle)

    def note_rename(self, target):
        order.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "rename", note_rename)
    cache.folder("export", {}, Maker())
    assert set(order[:3]) == {"model.onnx", "table.json", "empty"}
    assert set(order[3:6]) == {"files", "sub", "deep"}
    assert order[6:] == [MANIFEST, "entry", "rename", "entries"]


def test_a_root_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write the cache") as caught:
        Cache(tmp_path / "file" / "cache")
    assert "--no-cache" in caught.value.next_step


def test_the_root_is_marked_as_a_cache(cache):
    assert (cache.root / "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f597d28d172789f06886806bc55")
