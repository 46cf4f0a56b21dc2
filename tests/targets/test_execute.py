"""Starting processes: events, errors, crashes, timeouts, and nobody outlives anybody."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from profiles.errors import DataError, MissingToolError, ToolCrashError, UnsupportedError
from targets.execute import converse, python_argv, run_program


def python(code, *arguments):
    return [sys.executable, "-c", textwrap.dedent(code), *arguments]


def says(*events, then=""):
    lines = "".join(f"print({json.dumps(json.dumps(event))}, flush=True)\n" for event in events)
    return python("import os, sys, time\n" + lines + then)


RESULT = {"event": "result", "answer": 42}
HELLO = """
    import json, os, time
    print(json.dumps({'event': 'hello', 'pid': os.getpid()}), flush=True)
    time.sleep(60)
"""


def test_the_result_comes_back_and_progress_is_told():
    told = []
    progress = [{"event": "progress", "done": done, "total": 3} for done in range(3)]
    assert converse(says(*progress, RESULT), told.append) == RESULT
    assert told == progress


def test_what_libraries_print_is_not_an_event():
    chatter = ["hello", "[1, 2]", '{"no": 1}', '{"event": 3}', "\udcff", json.dumps(RESULT)]
    argv = python(
        f"import sys\nfor line in {chatter!r}: sys.stdout.buffer.write(line.encode(errors='surrogateescape') + b'\\n')"
    )
    told = []
    assert converse(argv, told.append) == RESULT
    assert told == []


def test_an_error_keeps_its_class_and_its_words():
    original = DataError("wanted images", seen="none", allowed="at least one", next_step="add some")
    with pytest.raises(DataError) as caught:
        converse(says({"event": "error", **original.as_dict()}))
    assert caught.value.as_dict() == original.as_dict()


def test_an_error_of_an_unknown_class_is_not_lost():
    with pytest.raises(ToolCrashError, match="strange"):
        converse(says({"event": "error", "type": "OSError", "wanted": "strange"}))


@pytest.mark.parametrize(
    ("ending", "how"),
    [
        ("sys.exit(7)", "exit status 7"),
        ("os.kill(os.getpid(), 9)", "signal 9"),
        ("os.abort()", "signal 6"),
        ("", "exit status 0"),
    ],
)
def test_a_worker_that_ends_without_a_word(ending, how):
    then = f"sys.stderr.write('loading\\n\\nout of memory\\n'); sys.stderr.flush(); {ending}"
    with pytest.raises(ToolCrashError, match="ended without a result") as caught:
        converse(says({"event": "progress", "done": 1, "total": 2}, then=then))
    assert how in caught.value.seen
    assert "loading | out of memory" in caught.value.seen


def test_a_crash_after_the_result_does_not_take_it_back():
    """Engines that fall over while they are unloaded have done their work."""
    assert converse(says(RESULT, then="os.kill(os.getpid(), 11)")) == RESULT


def test_a_worker_killed_from_outside():
    def kill(event):
        os.kill(event["pid"], signal.SIGKILL)

    with pytest.raises(ToolCrashError, match="ended without a result") as caught:
        converse(python(HELLO), kill)
    assert "signal 9" in caught.value.seen


def test_the_time_limit():
    with pytest.raises(ToolCrashError, match="did not finish and was stopped") as caught:
        converse(python("import time; time.sleep(60)"), timeout=0.3)
    assert caught.value.allowed == "0.3 s"


def test_the_time_limit_in_the_caller_s_words():
    with pytest.raises(UnsupportedError, match="it never ends"):
        converse(python("import time; time.sleep(60)"), timeout=0.3, late=UnsupportedError("it never ends"))


def test_the_time_limit_holds_although_a_grandchild_keeps_the_pipes_open():
    code = "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"
    before = time.monotonic()
    with pytest.raises(ToolCrashError, match="did not finish"):
        converse(python(code), timeout=0.5)
    assert time.monotonic() - before < 30, "it waited for the grandchild"


def test_a_worker_that_goes_on_talking_after_its_result_is_not_waited_for():
    before = time.monotonic()
    flood = "\nwhile True: print('x' * 1000)"
    assert converse(says(RESULT, then=flood), timeout=60) == RESULT
    assert time.monotonic() - before < 30, "a full pipe held the worker until its time limit"


def test_much_on_standard_error_does_not_block():
    assert converse(says(then=f"sys.stderr.write('x' * 5_000_000); print({json.dumps(json.dumps(RESULT))})")) == RESULT


def test_an_error_in_the_listener_ends_the_worker(tmp_path):
    class Stop(Exception):
        pass

    def stop(event):
        (tmp_path / "pid").write_text(str(event["pid"]))
        raise Stop

    with pytest.raises(Stop):
        converse(python(HELLO), stop)
    assert not alive(int((tmp_path / "pid").read_text()))


def test_what_is_fed_arrives():
    argv = python("import sys, json; print(json.dumps({'event': 'result', 'got': sys.stdin.readline()}))")
    assert converse(argv, feed=lambda stream: stream.write(b"hello\n")) == {"event": "result", "got": "hello\n"}


def test_feeding_a_worker_that_is_gone_tells_its_last_words():
    argv = python("import sys; sys.stderr.write('no space'); sys.exit(1)")
    with pytest.raises(ToolCrashError) as caught:
        converse(argv, feed=lambda stream: stream.write(b"x" * 10_000_000))
    assert "no space" in caught.value.seen


def test_an_explanation_replaces_the_crash():
    def explain(status, stderr):
        return MissingToolError(f"status {status}, {stderr}") if "python3: not found" in stderr else None

    argv = python("import sys; sys.stderr.write('python3: not found'); sys.exit(127)")
    with pytest.raises(MissingToolError, match="status 127, python3: not found"):
        converse(argv, explain=explain)
    with pytest.raises(ToolCrashError):
        converse(python("raise SystemExit(1)"), explain=explain)


def test_variables_are_added_to_ours():
    code = "import os, json; print(json.dumps({'event': 'result', 'seen': [os.environ['EXTRA'], os.environ['PATH']]}))"
    assert converse(python(code), env={"EXTRA": "1"})["seen"] == ["1", os.environ["PATH"]]


@pytest.mark.parametrize("start", [converse, lambda argv: run_program(argv, timeout=5)])
def test_a_program_that_cannot_be_started(start, tmp_path):
    with pytest.raises(MissingToolError, match="wanted to run no-such-program"):
        start(["no-such-program"])
    (tmp_path / "text").write_text("not a program")
    with pytest.raises(MissingToolError, match="wanted to run") as caught:
        start([str(tmp_path / "text")])
    assert caught.value.seen == "it is not a program"


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone_soon(pid):
    for _ in range(200):
        if not alive(pid):
            return True
        time.sleep(0.05)
    return False


def test_a_worker_ends_when_its_parent_is_killed(tmp_path):
    """The parent is killed with -9 while its worker (a real one, which watches standard input) is at work."""
    worker = """
        import json, os, sys, time
        from targets.worker import end_with_parent
        end_with_parent(sys.stdin)
        print(json.dumps({"event": "hello", "pid": os.getpid()}), flush=True)
        time.sleep(60)
    """
    parent = f"""
        import sys
        from targets.execute import converse
        converse([sys.executable, "-c", {textwrap.dedent(worker)!r}], lambda event: print(event["pid"], flush=True))
    """
    with subprocess.Popen(python(parent), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        pid = int(process.stdout.readline())
        assert alive(pid)
        process.kill()
    assert gone_soon(pid), "the worker outlived its parent"


def test_run_program_gives_status_and_text():
    done = run_program(python("import sys; print('out'); sys.stderr.write('err\\n'); sys.exit(3)"), timeout=30)
    assert (done.status, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_run_program_takes_output_that_is_not_text():
    done = run_program(python("import sys; sys.stdout.buffer.write(b'a\\xffb')"), timeout=30)
    assert done.stdout == "a\N{REPLACEMENT CHARACTER}b"


def test_run_program_has_nothing_on_standard_input():
    assert run_program(python("import sys; print(repr(sys.stdin.read()))"), timeout=30).stdout == "''\n"


def test_run_program_is_stopped_when_its_time_is_over():
    with pytest.raises(ToolCrashError, match="did not finish") as caught:
        run_program(python("import time; time.sleep(60)"), timeout=0.3)
    assert caught.value.allowed == "0.3 s"


def test_run_program_does_not_wait_for_grandchildren_that_keep_the_pipes_open():
    before = time.monotonic()
    with pytest.raises(ToolCrashError, match="did not finish"):
        run_program(python("import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"), timeout=0.5)
    assert time.monotonic() - before < 30


def test_run_program_does_not_wait_for_grandchildren_that_left_its_session(tmp_path):
    """What called setsid is not in the program's process group any more, and goes on holding the pipes."""
    left = f"""
        import os, pathlib, time
        if os.fork() == 0:
            os.setsid()
            pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
            time.sleep(40)
        time.sleep(60)
    """
    before = time.monotonic()
    try:
        with pytest.raises(ToolCrashError, match="did not finish"):
            run_program(python(left), timeout=1.5)
        assert time.monotonic() - before < 30, "it waited for the grandchild"
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_run_program_adds_variables():
    assert run_program(python("import os; print(os.environ['EXTRA'])"), timeout=30, env={"EXTRA": "1"}).stdout == "1\n"


def test_our_modules_run_with_this_interpreter():
    assert python_argv("targets.worker", "{}") == [sys.executable, "-P", "-m", "targets.worker", "{}"]
