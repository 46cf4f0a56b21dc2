"""Ctrl-C, SIGTERM and kill -9 in the middle of a build: old bundles stay whole, and the next build works."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from targets.artifact import load_artifact

PROGRAM = Path(sys.executable).with_name("edgewright")
TOML = """
[model]
source = "tiny.onnx"
[[device]]
profile = "local-cpu"
name = "first"
target = "null"
[[device]]
profile = "local-cpu"
name = "second"
target = "null"
"""
#: Where a build can be: the module and function that then hangs. ``{after}`` does the function's work first.
PLACES = {
    "checking the file": ("toolchain.steps.file_source", "FileSource._opened"),
    "reference outputs": ("targets.reference", "OnnxReference.run"),
    "compiling": ("targets.null.target", "NullTarget.compile"),
    "golden outputs": ("targets.null.runner", "NullRunner.run"),
    "measuring": ("targets.null.runner", "NullRunner.bind"),
    "delivering": ("toolchain.steps.deliver", "publish"),
}
HANG = """
import pathlib as _pathlib, time as _time
_work = {name}

def _hang(*args, **kwargs):
    done = _work(*args, **kwargs) if {after} else None
    _pathlib.Path({reached!r}).touch()
    _time.sleep(100)

{name} = _hang
"""


def processes():
    """Command lines of all processes that use this test's cache."""
    mark = f"EDGEWRIGHT_CACHE={os.environ['EDGEWRIGHT_CACHE']}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is not ours to look at
            if mark in path.read_bytes():
                found.append((path.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def assert_nobody_is_left():
    end = time.monotonic() + 20
    while processes() and time.monotonic() < end:
        time.sleep(0.02)
    assert not processes(), "processes outlived the build"


@pytest.fixture
def project(tiny):
    path = tiny.parent / "edge.toml"
    path.write_text(TOML)
    return path


@pytest.fixture
def build(project, cli, monkeypatch):
    """A build with nothing in its way."""

    def run():
        monkeypatch.delenv("PYTHONPATH", raising=False)
        cli("build", project, "--out", "out", "--no-profile").fine()

    return run


@pytest.fixture
def hang(sabotage, tmp_path):
    """``hang(place)``: builds from now on hang there; returns a path that then exists."""

    def at(place, *, after=False):
        module, name = PLACES[place]
        reached = tmp_path / "reached"
        sabotage(module, HANG.format(name=name, reached=str(reached), after=after))
        return reached

    return at


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Names of temporary folders, but those of caches, which the next build clears away."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    return lambda: [name for name in os.listdir(tmp_path / "tmp") if name != f"edgewright-{os.getuid()}"]


def start(reached, *more):
    """A build that hangs, in a session of its own as a terminal would start it."""
    argv = [PROGRAM, "build", "edge.toml", "--out", "out", "--runs", "3", *more]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    end = time.monotonic() + 60
    while not reached.exists() and time.monotonic() < end:
        assert process.poll() is None, f"the build ended before it came to hang: {process.communicate()[1]}"
        time.sleep(0.01)
    assert reached.exists(), "the build never came to the place where it hangs"
    return process


def assert_whole(out):
    """Every bundle in the output folder is complete, and nothing else is visible there."""
    for path in out.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            load_artifact(path)
        else:
            assert path.name in ("summary.json", "report.html")


@pytest.mark.parametrize("place", PLACES)
def test_ctrl_c(project, hang, build, place, untouched):
    """One line, exit status 130, and everything is as it was before."""
    build()
    whole = untouched(project.parent)
    reached = hang(place)
    process = start(reached, "--no-cache")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert not out and "Traceback" not in err
    assert err.splitlines()[-1] == "edgewright: interrupted" and err.count("edgewright:") == 1
    assert_nobody_is_left()
    whole()
    build()


def test_ctrl_c_with_two_jobs_ends_both(project, hang):
    process = start(hang("compiling"), "--jobs", "2")
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and err.splitlines()[-1] == "edgewright: interrupted"
    assert_nobody_is_left()
    assert not (project.parent / "out").exists()


def test_termination_is_as_orderly(project, hang):
    process = start(hang("measuring"))
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert err.splitlines()[-1] == "edgewright: terminated" and err.count("edgewright:") == 1
    assert_nobody_is_left()
    assert not (project.parent / "out").exists()


@pytest.mark.parametrize("place", ["compiling", "measuring", "delivering"])
def test_kill(project, hang, build, place, scratch):
    """Whatever is visible is whole; what is hidden is cleared away by the next build."""
    build()
    process = start(hang(place, after=place == "delivering"), "--no-cache")
    process.kill()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert_nobody_is_left()
    assert_whole(project.parent / "out")
    assert scratch() == [], "workers clear away what their parent cannot any more"
    build()
    assert sorted(os.listdir("out")) == ["first", "report.html", "second", "summary.json"]


def test_a_killed_first_build_leaves_nothing_that_looks_like_a_bundle(project, hang):
    process = start(hang("compiling"))
    process.kill()
    process.communicate(timeout=30)
    assert_nobody_is_left()
    assert [name for name in os.listdir("out") if not name.startswith(".")] == []


def test_a_worker_that_is_killed_is_reported(project, hang):
    """As the kernel does it when memory runs out."""
    process = start(hang("measuring"))
    workers = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _is_worker(path)]
    os.kill(int(workers[0].parent.name), signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "asked to profile a bundle, ended without a result" in err and "signal 9 (SIGKILL)" in err
    assert not (project.parent / "out").exists()


def _is_worker(path):
    mark = f"EDGEWRIGHT_CACHE={os.environ['EDGEWRIGHT_CACHE']}".encode()
    with contextlib.suppress(OSError):
        return b"targets.worker" in path.read_bytes() and mark in path.with_name("environ").read_bytes()
    return False
