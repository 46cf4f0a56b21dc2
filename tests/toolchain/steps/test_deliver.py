"""Delivery: everything or nothing takes its place, and one build at a time."""

import os
import subprocess
import sys

import pytest

from profiles.errors import ConfigError, OutputError
from toolchain.steps.deliver import Delivery
from toolchain.summary import BuildResult, Entry


@pytest.fixture
def made(built):
    """A finished bundle as the cache keeps it: read-only files."""
    return built.out / "nothing"


def entry(out, name):
    return Entry(name, "local-cpu", "null", "fp32", out / name, {})


def deliver(out, made, names):
    with Delivery(out) as delivery:
        for name in names:
            delivery.stage(name, made)
        return delivery.finish(BuildResult(out, tuple(entry(out, name) for name in names)))


def test_everything_takes_its_place(tmp_path, made):
    result = deliver(tmp_path / "out", made, ["first", "second"])
    assert sorted(os.listdir(tmp_path / "out")) == ["first", "report.html", "second", "summary.json"]
    assert [entry.name for entry in result.entries] == ["first", "second"]
    for name in ("first", "second"):
        copies = {path.name: path.read_bytes() for path in (tmp_path / "out" / name).iterdir()}
        assert copies == {path.name: path.read_bytes() for path in made.iterdir()}


def test_nothing_is_visible_before_the_end(tmp_path, made):
    with Delivery(tmp_path / "out") as delivery:
        staged = delivery.stage("first", made)
        assert staged.parent.parent == tmp_path / "out" and staged.parent.name.startswith(".")
        assert [name for name in os.listdir(tmp_path / "out") if not name.startswith(".")] == []


def test_a_copy_of_read_only_files_can_be_written(tmp_path, made):
    for path in made.iterdir():
        path.chmod(0o444)
    with Delivery(tmp_path / "out") as delivery:
        staged = delivery.stage("first", made)
        assert all(path.stat().st_mode & 0o200 for path in [staged, *staged.iterdir()])


def test_programs_in_a_bundle_can_be_run(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    for name, mode in (("model", 0o555), ("model.so", 0o444)):
        (made / name).write_bytes(b"")
        (made / name).chmod(mode)
    with Delivery(tmp_path / "out") as delivery:
        staged = delivery.stage("first", made)
        found = {path.name: os.access(path, os.X_OK) for path in staged.iterdir()}
        assert (staged / "model").stat().st_mode & 0o700 == 0o700, "it can be written, too"
    assert (found, (made / "model.so").stat().st_mode & 0o111) == ({"model": True, "model.so": False}, 0)


def test_folders_inside_a_bundle_are_copied(tmp_path):
    made = tmp_path / "made"
    (made / "deep" / "er").mkdir(parents=True)
    (made / "deep" / "er" / "file").write_bytes(b"1")
    with Delivery(tmp_path / "out") as delivery:
        assert (delivery.stage("x", made) / "deep" / "er" / "file").read_bytes() == b"1"


def test_a_failure_leaves_what_was_there(tmp_path, made, untouched):
    deliver(tmp_path / "out", made, ["first"])
    whole = untouched(tmp_path)
    with pytest.raises(RuntimeError, match="half-way"), Delivery(tmp_path / "out") as delivery:
        delivery.stage("first", made)
        delivery.stage("second", made)
        raise RuntimeError("half-way")
    whole()


@pytest.mark.parametrize("there", [(), ("a",), ("a", "a/b")])
def test_folders_that_were_made_for_nothing_go_again(tmp_path, there):
    for name in there:
        (tmp_path / name).mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RuntimeError), Delivery(tmp_path / "a" / "b" / "c"):
        raise RuntimeError
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_of_the_user_s_stays(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(RuntimeError), Delivery(tmp_path / "out"):
        raise RuntimeError
    assert list((tmp_path / "out").iterdir()) == []


def test_one_build_at_a_time(tmp_path):
    with Delivery(tmp_path / "out"):
        with pytest.raises(ConfigError, match="wanted to write") as caught, Delivery(tmp_path / "out"):
            pass
        assert caught.value.seen == "another build is writing there"
        assert list((tmp_path / "out").glob(".staging-*")), "the first build's work must not be swept away"
    with Delivery(tmp_path / "out"):
        pass


def test_another_process_counts_too(tmp_path):
    program = f"""
from pathlib import Path
from profiles.errors import ConfigError
from toolchain.steps.deliver import Delivery
try:
    Delivery(Path({str(tmp_path / "out")!r})).__enter__()
except ConfigError as error:
    print(error.seen)
"""
    with Delivery(tmp_path / "out"):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "another build is writing there\n"


def test_what_a_killed_build_left_is_swept_away(tmp_path):
    left = tmp_path / "out" / ".staging-999999" / "first"
    left.mkdir(parents=True)
    (left / "model.onnx").write_bytes(b"half")
    (tmp_path / "out" / ".lock").touch()
    with Delivery(tmp_path / "out"):
        assert not left.exists()
    assert not (tmp_path / "out" / ".lock").exists()


@pytest.mark.parametrize("name", ["bundle", "summary.json", "report.html"])
def test_places_are_checked_before_the_work(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine").touch()
    with Delivery(tmp_path) as delivery, pytest.raises(OutputError) as caught:
        delivery.check(["other", "bundle"])
    assert name in caught.value.wanted and "--out" in caught.value.next_step


def test_places_that_are_free_or_hold_bundles_pass(tmp_path, made):
    deliver(tmp_path / "out", made, ["first"])
    (tmp_path / "out" / "empty").mkdir()
    with Delivery(tmp_path / "out") as delivery:
        delivery.check(["first", "second", "empty"])
