"""The program that runs on the device, spoken to through pipes: damaged, truncated and hostile uploads."""

import ast
import hashlib
import json
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets import remote_bootstrap

PROGRAM = remote_bootstrap.__file__


def upload(files, **header):
    """The bytes of an upload; ``files`` are names with contents."""
    entries = [{"name": n, "size": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in files]
    full = {"files": entries, "request": {}, "outputs": None, "min_python": [3, 10], "timeout": 20, **header}
    text = json.dumps(full).encode()
    return b"%d %s\n" % (len(text), hashlib.sha256(text).hexdigest().encode()) + text + b"".join(c for _, c in files)


def serve(data, tmp_path):
    """Feed the program and close its input; returns its exit status and events; nothing may be left behind."""
    home = tmp_path / "device"
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(home)}
    argv = [sys.executable, "-I", PROGRAM]
    done = subprocess.run(argv, input=data, capture_output=True, env=environment, check=False, timeout=60)
    assert not list(home.iterdir()), "nothing may be left behind"
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def refusal(data, tmp_path):
    status, events = serve(data, tmp_path)
    assert status == 1
    assert events[-1]["event"] == "error"
    return events[-1]


GOOD = [("runtime.pyz", b"no zip at all"), ("bundle/model.bin", bytes(200_000))]


def work(source, home, **header):
    """Let the program run ``source`` as its worker, with somebody waiting for the answer; returns the events."""
    environment = {**os.environ, "TMPDIR": str(home)}
    argv = [sys.executable, "-I", PROGRAM]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment) as program:
        program.stdin.write(upload([("runtime.pyz", source.encode())], **header))
        program.stdin.flush()
        events = [json.loads(line) for line in program.stdout]
    assert not list(home.iterdir()), "nothing may be left behind"
    return events


def test_a_worker_that_cannot_start_leaves_its_last_words(tmp_path):
    events = work("no Python at all", tmp_path)
    assert [event["event"] for event in events] == ["hello", "unpacked", "error"]
    assert events[-1]["type"] == "ToolCrashError"
    assert "exit status 1" in events[-1]["seen"] and "SyntaxError" in events[-1]["seen"]


def test_what_libraries_print_is_no_event(tmp_path):
    source = """print("loading...", [1], "{", 7, "null", sep="\\n"); print('{"event": "result", "x": 1}')"""
    assert work(source, tmp_path)[2:] == [{"event": "result", "x": 1}]


def test_a_worker_that_never_ends_is_stopped(tmp_path):
    error = work("import time; time.sleep(60)", tmp_path, timeout=0.5)[-1]
    assert (error["type"], error["allowed"]) == ("ToolCrashError", "0.5 s")


def test_a_silent_worker_ends_when_nobody_waits(tmp_path):
    source = "import time; open('../pid', 'w').write(str(__import__('os').getpid())); time.sleep(60)"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    argv = [sys.executable, "-I", PROGRAM]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as program:
        program.stdin.write(upload([("runtime.pyz", source.encode())]))
        program.stdin.flush()
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.02)
        program.stdin.close()
        assert program.wait(timeout=30) == 3, "the end of standard input alone must end the session"
    assert not running(int((tmp_path / "pid").read_text()))
    assert [path.name for path in tmp_path.iterdir()] == ["pid"]


def test_helpers_of_the_worker_end_with_it(tmp_path):
    source = (
        "import json, subprocess, tempfile\n"
        "helper = subprocess.Popen(['sleep', '60'])\n"
        "scratch = tempfile.mkdtemp()\n"
        "print(json.dumps({'event': 'result', 'helper': helper.pid, 'scratch': scratch}), flush=True)\n"
        "helper.wait()\n"
    )
    result = work(source, tmp_path)[-1]
    assert result["scratch"].startswith(str(tmp_path)), "scratch files lie in the folder that is removed"
    deadline = time.monotonic() + 10
    while running(result["helper"]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not running(result["helper"]), "what the worker started must end with it"


def running(pid):
    """Whether the process is there and not just waiting for init to take note of its end."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "bundle/../../evil", ".", "", "a/../.."])
def test_names_outside_of_the_folder_are_refused(name, tmp_path):
    error = refusal(upload([("runtime.pyz", b""), (name, b"evil")]), tmp_path)
    assert error["type"] == "VerificationError"
    assert "below its own folder" in error["wanted"]


def test_a_file_cannot_replace_another(tmp_path):
    error = refusal(upload([("runtime.pyz", b"one"), ("runtime.pyz", b"two")]), tmp_path)
    assert "exists" in error["seen"]


def test_a_damaged_file_is_refused(tmp_path):
    data = upload(GOOD)
    error = refusal(data[:-1] + b"x", tmp_path)
    assert (error["type"], error["wanted"]) == ("VerificationError", "bundle/model.bin arrived damaged")


@settings(max_examples=15, deadline=None)
@given(position=st.integers(0, len(upload(GOOD)) - 1), flip=st.integers(1, 255))
def test_a_flipped_byte_anywhere_is_noticed(tmp_path_factory, position, flip):
    data = bytearray(upload(GOOD))
    data[position] ^= flip
    status, events = serve(bytes(data), tmp_path_factory.mktemp("flip"))
    assert status in (1, 3), "a damaged upload must end in an error, or wait for bytes that never come"
    assert "unpacked" not in [event["event"] for event in events], "nothing damaged may be run"


@settings(max_examples=15, deadline=None)
@given(length=st.integers(0, len(upload(GOOD)) - 1))
def test_an_upload_that_ends_early_leaves_quietly(tmp_path_factory, length):
    status, events = serve(upload(GOOD)[:length], tmp_path_factory.mktemp("short"))
    assert status == 3
    assert [event["event"] for event in events] == ["hello"]


@pytest.mark.parametrize("line", [b"\n", b"x y\n", b"-1 00\n", b"99999999999 00\n", b"9" * 200])
def test_a_header_that_is_none_is_refused(line, tmp_path):
    assert refusal(line + b"rest", tmp_path)["type"] == "VerificationError"


def test_an_interpreter_that_is_too_old_is_told_first(tmp_path):
    error = refusal(upload(GOOD, min_python=[9, 0])[:-100_000], tmp_path)
    assert error["type"] == "MissingToolError"
    assert "9.0 or newer" in error["wanted"]


def test_a_temporary_folder_that_is_missing_is_told(tmp_path):
    script = (
        "import runpy, sys, tempfile\n"
        "tempfile.tempdir = sys.argv[1] + '/gone'\n"
        "runpy.run_path(sys.argv[2], run_name='__main__')\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path), PROGRAM]
    done = subprocess.run(argv, input=upload(GOOD), capture_output=True, check=False, timeout=60)
    error = json.loads(done.stdout.splitlines()[-1])
    assert error["type"] == "OutputError", error


def test_the_source_is_python_3_6():
    with open(PROGRAM, encoding="utf-8") as stream:
        ast.parse(stream.read(), PROGRAM, feature_version=(3, 6))


@pytest.mark.parametrize("version", ["3.8", "3.9"])
def test_old_interpreters_say_that_they_are_too_old(version, tmp_path):
    argv = [f"python{version}", "-I", PROGRAM]
    try:
        done = subprocess.run(argv, input=upload(GOOD), capture_output=True, check=False, timeout=60)
    except FileNotFoundError:
        pytest.skip(f"needs python{version} on the PATH, to see that it says it is too old")
    if b"hello" not in done.stdout:
        pytest.skip(f"python{version} on the PATH does not start: {done.stderr.decode().strip()[:80]}")
    assert json.loads(done.stdout.splitlines()[-1])["type"] == "MissingToolError"
