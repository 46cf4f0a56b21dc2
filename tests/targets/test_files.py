"""Atomic writing: old or new, never half, nothing left behind."""

import json
import os
import resource
import threading
from pathlib import Path

import pytest

from profiles.errors import OutputError
from targets import files
from targets.files import publish, write_bytes, write_json


def in_child(work):
    """Run ``work`` in a forked child; its exit status (0 when it ends well)."""
    pid = os.fork()
    if not pid:
        status = 70
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_bytes_arrive_and_parents_are_made(tmp_path):
    write_bytes(tmp_path / "a" / "b", b"one")
    write_bytes(tmp_path / "a" / "b", b"two")
    assert (tmp_path / "a" / "b").read_bytes() == b"two"
    assert names(tmp_path) == ["a", "a/b"]


def test_json_is_plain_and_refuses_nan(tmp_path):
    write_json(tmp_path / "x.json", {"ä": [1, 2.5, None]})
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {"ä": [1, 2.5, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", float("nan"))
    assert names(tmp_path) == ["x.json"]


def test_a_reader_never_sees_half_a_file(tmp_path):
    path, stop, seen = tmp_path / "x", threading.Event(), set()
    whole = {bytes([value]) * 100_000 for value in (65, 66)}
    write_bytes(path, min(whole))

    def read():
        while not stop.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        for content in sorted(whole):
            write_bytes(path, content)
    stop.set()
    reader.join()
    assert seen <= whole


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "x"
    write_bytes(path, b"old")

    def write_too_much():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        with pytest.raises(OutputError, match="cannot write"):
            write_bytes(path, b"x" * 10_000)

    assert in_child(write_too_much) == 0
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


def test_a_file_in_the_way_of_a_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write") as caught:
        write_bytes(tmp_path / "file" / "x", b"")
    assert "--out" in caught.value.next_step


def bundle(folder, content):
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "model.onnx").write_text(content)
    return folder


SWAPS = pytest.mark.parametrize("swap", ["kernel swaps", "two renames"])


@pytest.fixture
def swapping(request, monkeypatch):
    if request.getfixturevalue("swap") == "two renames":
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)


@SWAPS
def test_publish_replaces_the_whole_folder(tmp_path, swap, swapping):
    final = tmp_path / "out" / "local-cpu"
    publish(bundle(tmp_path / "first", "one"), final)
    (final / "profile.json").write_text("{}")
    publish(bundle(tmp_path / "second", "two"), final)
    assert (final / "model.onnx").read_text() == "two"
    assert names(tmp_path) == ["out", "out/local-cpu", "out/local-cpu/manifest.json", "out/local-cpu/model.onnx"]


@SWAPS
def test_publish_over_a_link_leaves_what_it_points_to(tmp_path, swap, swapping):
    elsewhere = bundle(tmp_path / "elsewhere", "theirs")
    final = tmp_path / "local-cpu"
    final.symlink_to(elsewhere)
    publish(bundle(tmp_path / "new", "ours"), final)
    assert not final.is_symlink()
    assert (final / "model.onnx").read_text() == "ours"
    assert (elsewhere / "model.onnx").read_text() == "theirs"


def test_publish_does_not_throw_away_what_is_not_a_bundle(tmp_path):
    new = bundle(tmp_path / "new", "ours")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("meow")
    (tmp_path / "file").write_text("text")
    for name in ("photos", "file"):
        with pytest.raises(OutputError, match="not a bundle"):
            publish(new, tmp_path / name)
    assert (tmp_path / "photos" / "cat.jpg").read_text() == "meow"
    assert (tmp_path / "file").read_text() == "text"
    (tmp_path / "empty").mkdir()
    publish(new, tmp_path / "empty")
    assert (tmp_path / "empty" / "model.onnx").read_text() == "ours"


def test_a_failed_publish_leaves_the_old_bundle(tmp_path, monkeypatch):
    final = bundle(tmp_path / "final", "old")
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    with pytest.raises(OutputError):
        publish(tmp_path / "never made", final)
    assert (final / "model.onnx").read_text() == "old"
    assert names(tmp_path) == ["final", "final/manifest.json", "final/model.onnx"]


def test_a_place_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        publish(bundle(tmp_path / "new", "x"), tmp_path / "file" / "local-cpu")


def test_readers_always_find_a_bundle_while_it_is_replaced(tmp_path):
    """Only where the kernel swaps; asked of the kernel here, so that the test cannot pass by not running."""
    one, two = bundle(tmp_path / "probe-one", ""), bundle(tmp_path / "probe-two", "")
    if not files._exchange(one, two):
        pytest.skip("this kernel or file system has no renameat2(RENAME_EXCHANGE)")
    final = bundle(tmp_path / "final", "0")
    stop, misses = threading.Event(), []

    def read():
        while not stop.is_set():
            try:
                (final / "manifest.json").stat()
            except FileNotFoundError as error:
                misses.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(50):
        publish(bundle(tmp_path / f"new-{number}", str(number)), final)
    stop.set()
    reader.join()
    assert misses == []
    assert Path(final / "model.onnx").read_text() == "49"
