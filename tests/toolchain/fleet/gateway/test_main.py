"""``python -m toolchain.fleet.gateway``: JSON on standard output, errors in words, exit codes, never a traceback."""

import json
import os
import signal
import subprocess
import time
import tty

import pytest

from profiles.errors import ConfigError, UnreachableError, VerificationError
from targets.execute import python_argv
from toolchain.fleet.gateway import __main__ as program
from toolchain.fleet.gateway.place import Place, from_table

PLACE = ["--board=b", "--smp=serial:///dev/none", "--line=serial:///dev/none", "--key=none.pem", "--answer=0.1"]


def step(error):
    """A step that ends so."""

    def act(place, slot, say):
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (UnreachableError("lost the board", seen="nothing"), 7, "download"),
        (VerificationError("the board refused the image", next_step="publish"), 6, "trust"),
        (ConfigError("wanted the firmware key"), 2, "internal"),
    ],
    ids=["unreachable", "refused", "configuration"],
)
def test_our_errors_are_data_for_the_agent_and_words_for_people(monkeypatch, capsys, error, code, reason):
    monkeypatch.setattr(program, "COMMANDS", {"status": step(error)})
    assert program.main(["status", *PLACE]) == code
    out, said = capsys.readouterr()
    answer = json.loads(out)
    assert answer["reason"] == reason and answer["error"]["wanted"] == error.wanted
    assert said == f"python -m toolchain.fleet.gateway: {error}\n"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (PermissionError(13, "Permission denied", "slots/a"), 2, "cannot use slots/a"),
        (OSError(28, "No space left on device", "x"), 2, "No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (RuntimeError("a bug"), 1, "our fault: RuntimeError: a bug"),
    ],
    ids=["refused-by-the-system", "full-disk", "ctrl-c", "bug"],
)
def test_all_other_errors_are_words_too(monkeypatch, capsys, error, code, words):
    monkeypatch.setattr(program, "COMMANDS", {"status": step(error)})
    assert program.main(["status", *PLACE]) == code
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (["fly", *PLACE], "invalid choice: 'fly'"),
        (["status"], "required"),
        (["status", *PLACE, "--boot=long"], "invalid float value"),
        (["status", *PLACE, "--boot=nan"], "time in seconds"),
        (["install", *PLACE], "'install' needs a slot"),
    ],
    ids=["command", "nothing", "type", "nan", "slot"],
)
def test_wrong_usage_is_said(capsys, words, seen):
    assert program.main(words) == 2
    said = capsys.readouterr().err
    assert seen in said and "Traceback" not in said and said.startswith("python -m toolchain.fleet.gateway: ")


def test_a_reader_who_has_gone_away_is_no_error():
    read, write = os.pipe()
    os.close(read)
    argv = python_argv("toolchain.fleet.gateway", "status", *PLACE)
    done = subprocess.run(argv, check=False, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(write)
    assert done.returncode == 7 and "lost the board" in done.stderr and "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"])
def test_a_step_that_is_ended_says_so_and_leaves_no_traceback(number, code):
    ours, theirs = os.openpty()  # a board that never answers
    tty.setraw(theirs)
    words = ["--board=b", f"--smp=serial://{os.ttyname(theirs)}", "--line=serial:///dev/none", "--key=k", "--answer=60"]
    argv = python_argv("toolchain.fleet.gateway", "status", *words)
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert os.read(ours, 1) == b"\x06", "it asks the board"
        time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)
    assert process.returncode == code and "Traceback" not in said and said.count("\n") == 1, said


def test_a_configuration_and_its_command_line_say_the_same(tmp_path):
    table = {"smp": "serial:///dev/ttyACM0?baud=9600", "line": "serial:///dev/ttyACM1", "key": "fw.pem", "boot": 9}
    place = from_table(table, "stm32l4r5", tmp_path)
    assert place.key == tmp_path / "fw.pem" and place.boot == 9.0 and isinstance(place, Place)
    assert program._place(program._parser().parse_args(["status", *place.words()])) == place
