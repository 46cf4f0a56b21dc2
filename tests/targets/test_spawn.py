"""Long-lived programs: talk with time limits, clean ends, and nobody outlives anybody."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from profiles.errors import MissingToolError
from targets.execute import spawn
from targets.processes import Leash


def script(code):
    return [sys.executable, "-c", textwrap.dedent(code)]


SLEEPS = ["sleep", "60"]


def read(talk, size):
    data = b""
    while len(data) < size and (more := talk.read(10)):
        data += more
    return data


def gone(pid, seconds=5.0):
    """Whether a process ends in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_what_is_written_comes_back():
    with spawn(["cat"]) as talk:
        assert talk.write(b"hello", 5) == 5
        assert read(talk, 5) == b"hello"


def test_much_that_is_written_comes_back():
    with spawn(["cat"]) as talk:
        sent, got = bytes(range(256)) * 4096, b""
        while len(got) < len(sent):
            if len(got) + 65536 > len(sent) or not (chunk := talk.read(0)):
                talk.write(sent[len(got) : len(got) + 4096], 5)
                chunk = read(talk, 4096)
            got += chunk
        assert got == sent


def test_reading_waits_no_longer_than_allowed():
    with spawn(SLEEPS) as talk:
        begun = time.monotonic()
        assert talk.read(0.1) == b""
        assert 0.09 < time.monotonic() - begun < 2


def test_writing_to_somebody_who_does_not_read_ends():
    with spawn(SLEEPS) as talk:
        taken = talk.write(bytes(1 << 20), 0.1)
        assert 4096 <= taken < 1 << 20, f"{taken} bytes fit into the pipe"


def test_the_end_of_a_program_is_told():
    with spawn(script("import sys; print('last words', file=sys.stderr); sys.exit(3)")) as talk:
        with pytest.raises(EOFError):
            talk.read(10)
        assert talk.last_words() == (3, "last words")


def test_a_signal_is_told_as_one():
    with spawn(script("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")) as talk:
        with pytest.raises(EOFError):
            talk.read(10)
        assert talk.last_words()[0] == -signal.SIGSEGV


def test_writing_after_the_end_is_told():
    with spawn(["true"]) as talk:
        with pytest.raises(EOFError):
            talk.read(10)
        with pytest.raises(EOFError):
            talk.write(b"x" * 100, 1)


def test_a_program_that_is_not_there():
    with pytest.raises(MissingToolError, match="wanted to run no-such-program"), spawn(["no-such-program"]):
        pass


def test_hanging_up_lets_a_program_finish(tmp_path):
    out = tmp_path / "out"
    code = f"import sys; sys.stdin.read(); open({str(out)!r}, 'w').write('finished')"
    with spawn(script(code)) as talk:
        talk.hang_up(10)
    assert out.read_text() == "finished"


def test_asking_to_end_lets_a_program_finish(tmp_path):
    out = tmp_path / "out"
    code = f"""
        import signal, sys, time
        def end(*_):
            open({str(out)!r}, 'w').write('finished')
            sys.exit()
        signal.signal(signal.SIGTERM, end)
        print('ready', flush=True)
        while True:  # a signal just before one long sleep would not end it
                time.sleep(0.05)
    """
    with spawn(script(code)) as talk:
        read(talk, 6)
        begun = time.monotonic()
        talk.ask_to_end(10)
        assert time.monotonic() - begun < 5
    assert out.read_text() == "finished"
    with spawn(["true"]) as talk:
        with pytest.raises(EOFError):
            talk.read(10)
        talk.ask_to_end(1)


def test_who_does_not_want_to_end_is_ended():
    code = """
        import os, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(os.getpid(), flush=True)
        time.sleep(60)
    """
    begun = time.monotonic()
    with spawn(script(code)) as talk:
        pid = int(talk.read(10))
        talk.ask_to_end(0.2)
    assert gone(pid)
    assert time.monotonic() - begun < 5


def test_whatever_a_program_started_is_ended_with_it():
    code = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    with spawn(script(code)) as talk:
        child = int(talk.read(10))
    assert gone(child)


def test_an_error_inside_ends_it():
    pids = []

    def fail():
        with spawn(script("import os, time; print(os.getpid(), flush=True); time.sleep(60)")) as talk:
            pids.append(int(talk.read(10)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert gone(pids[0])


def test_a_leash_ends_it():
    leash = Leash()
    with spawn(SLEEPS, leash=leash) as talk:
        leash.cut()
        with pytest.raises(EOFError):
            talk.read(10)


def test_it_does_not_outlive_us_even_when_we_are_killed():
    """The program watches neither its input nor its parent."""
    code = """
        import os, signal, sys
        from targets.execute import spawn
        with spawn([sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(60)']) as talk:
            os.write(1, talk.read(10))
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(script(code), stdout=subprocess.PIPE, check=False)
    assert done.returncode == -signal.SIGKILL
    assert gone(int(done.stdout))


def test_it_inherits_no_file_of_ours(tmp_path):
    held = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        with spawn(script("import os; print(sorted(map(int, os.listdir('/proc/self/fd'))), flush=True)")) as talk:
            said = talk.read(10).decode()
    finally:
        os.close(held)
    assert str(held) not in said.strip("[]\n").split(", ") or held <= 3, said
