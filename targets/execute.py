"""The only place that starts a process."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from profiles.errors import EdgewrightError, MissingToolError, ToolCrashError, error_from_dict
from targets.processes import Conversation, KilledAfter, Leash, Tail, close, kill

Event = dict[str, Any]
#: For workers: linear algebra libraries must not start threads of their own beside the engine's.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
#: Seconds that a program which was killed has to let go of its pipes.
_GRACE = 5.0


@dataclasses.dataclass(frozen=True)
class Finished:
    """A program that ended: exit status and what it printed."""

    status: int
    stdout: str
    stderr: str


def run_program(argv: Sequence[str], *, timeout: float, env: Mapping[str, str] | None = None) -> Finished:
    """Run a program to its end.

    Raises:
        MissingToolError: it is not installed.
        ToolCrashError: it did not end within ``timeout`` seconds.
    """
    process = _start(argv, env, stdin=subprocess.DEVNULL)
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except BaseException as error:
        kill(process)
        _hang_up(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise ToolCrashError(f"{argv[0]} did not finish", allowed=f"{timeout:g} s") from error
        raise
    return Finished(process.returncode, stdout.decode(errors="replace"), stderr.decode(errors="replace"))


def _hang_up(process: subprocess.Popen[bytes]) -> None:
    """Reap a killed program and close our ends; who left its session keeps the pipes open, and is not waited for."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=_GRACE)
    close(process.stdout)
    close(process.stderr)
    process.poll()


def _environment(extra: Mapping[str, str] | None) -> dict[str, str] | None:
    return {**os.environ, **extra} if extra else None


def python_argv(module: str, *arguments: str) -> list[str]:
    """The command line that runs one of our modules with this interpreter.

    Modules are not looked for in the working folder: a file of the user's named ``onnx.py`` is not onnx.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def converse(
    argv: Sequence[str],
    on_event: Callable[[Event], None] = lambda event: None,
    *,
    env: Mapping[str, str] | None = None,
    timeout: float = 3600.0,
    feed: Callable[[IO[bytes]], None] | None = None,
    explain: Callable[[int, str], EdgewrightError | None] = lambda status, stderr: None,
    leash: Leash | None = None,
    late: EdgewrightError | None = None,
) -> Event:
    """Run a worker that speaks JSON lines on standard output, and return its ``result`` event.

    A worker prints ``{"event": "progress", ...}`` any number of times and then one
    ``{"event": "result", ...}`` or ``{"event": "error", ...}``. Its standard input stays open while
    it runs and is closed when we go, so that a worker never outlives its parent.

    Args:
        argv: the command line.
        on_event: called with every progress event.
        env: variables to add.
        timeout: seconds until the worker is killed.
        feed: writes to the worker's standard input before events are read.
        explain: turns the exit status and the last lines of standard error of a worker that ended
            without a result into a better error than "it died", or returns None.
        leash: ends the worker when it is cut.
        late: raised when the worker did not finish in time; by default a sentence with its name.

    Raises:
        EdgewrightError: what the worker reported, as the class it named.
        ToolCrashError: it died without a word: the last lines of its standard error are in the message.
        MissingToolError: the program is not installed.
    """
    process = _start(argv, env, stdin=subprocess.PIPE)
    tail = Tail(process.stderr)
    with KilledAfter(process, timeout) as expired, (leash or Leash()).held(process):
        try:
            if feed is not None:
                _feed(process, feed)
            final = _read_events(process, on_event)
        except BaseException:
            kill(process)
            raise
        finally:
            status = _end(process)
    tail.join()
    if final is None:
        reason = late if expired.is_set() else explain(status, tail.text())
        raise reason or _crash(argv, status, tail.text(), timeout if expired.is_set() else None)
    if final["event"] == "error":
        raise _reported(final, tail.text())
    return final


#: A shell that waits for a program, and ends it with the signal whose name comes on file 3, or with KILL when the
#: other end of that file, which we hold, is closed. File 4 becomes the program's standard input, which a shell takes
#: away from its background jobs.
_KEEPER = """
exec 4<&0
"$@" <&4 4<&- 3<&- &
child=$!
exec 4<&- </dev/null >/dev/null
{ read -r name <&3; kill -s "${name:-KILL}" $child; read -r name <&3; kill -s KILL $child; } 2>/dev/null &
keeper=$!
wait $child
status=$?
kill -s KILL $keeper
exit $status
"""


@contextlib.contextmanager
def spawn(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, leash: Leash | None = None
) -> Iterator[Conversation]:
    """A program to talk to over its standard input and output, for as long as the context lasts.

    It never outlives us, not even when we are killed, and need not watch its standard input for that.

    Args:
        argv: the command line.
        env: variables to add.
        leash: ends the program when it is cut.

    Raises:
        MissingToolError: it is not installed.
    """
    if shutil.which(argv[0]) is None:
        raise _missing(argv[0], "it is not installed, or is no program")
    theirs, ours = os.pipe()
    try:
        process = _start(
            ["/bin/sh", "-c", f"exec 3</dev/fd/{theirs}\n{_KEEPER}", "sh", *argv], env, subprocess.PIPE, (theirs,)
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    try:
        with (leash or Leash()).held(process):
            yield Conversation(process, ours)
    finally:
        kill(process)
        os.close(ours)
        process.wait()
        close(process.stdin)
        close(process.stdout)


def _reported(event: Event, stderr: str) -> EdgewrightError:
    """The error that a worker reported; what it printed shows with ``--debug``."""
    error = error_from_dict(event)
    if stderr and sys.version_info >= (3, 11):
        error.add_note(f"the worker's last words:\n{stderr}")
    return error


def _start(
    argv: Sequence[str], env: Mapping[str, str] | None, stdin: int, inherited: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that whatever it starts can be ended with it.

    Raises:
        MissingToolError: it is not installed, or is no program.
    """
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            list(argv), stdin=stdin, stdout=pipe, stderr=pipe, env=_environment(env), start_new_session=True,
            pass_fds=inherited,
        )  # fmt: skip
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        installed = "it is not installed" if isinstance(error, FileNotFoundError) else "it is not a program"
        raise _missing(argv[0], installed) from error


def _missing(program: str, seen: str) -> MissingToolError:
    return MissingToolError(f"wanted to run {program}", seen=seen, next_step="run: edgewright doctor")


def _end(process: subprocess.Popen[bytes]) -> int:
    """Hang up, wait for the worker, end what it left running in its session, and return its exit status."""
    close(process.stdin)
    close(process.stdout)  # a worker that goes on talking must not wait for a listener
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    kill(process)
    return process.wait()


def _feed(process: subprocess.Popen[bytes], feed: Callable[[IO[bytes]], None]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # a worker that is gone left its last words on the other pipes
        feed(process.stdin)
        process.stdin.flush()


def _read_events(process: subprocess.Popen[bytes], on_event: Callable[[Event], None]) -> Event | None:
    assert process.stdout is not None
    final: Event | None = None
    for line in process.stdout:
        event = _parse(line)
        if event is None:
            continue
        if event["event"] in ("result", "error"):
            final = event
            break
        on_event(event)
    return final


def _parse(line: bytes) -> Event | None:
    """One event, or None for a line that some library printed."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def _crash(argv: Sequence[str], status: int, stderr: str, expired_after: float | None) -> ToolCrashError:
    if expired_after is not None:
        return ToolCrashError(f"{argv[0]} did not finish and was stopped", allowed=f"{expired_after:g} s")
    return crash(Path(argv[0]).name, status, stderr)


def crash(what: str, status: int, stderr: str) -> ToolCrashError:
    """The error for a program that ended without a result; ``what`` is a word for it that the user knows."""
    last = [line for line in stderr.splitlines() if line.strip()][-3:]
    return ToolCrashError(
        f"{what} ended without a result",
        seen=f"{_ending(status)}; last words: {' | '.join(last) or 'none'}",
        next_step="try another target, precision or version of the engine; --debug shows more",
    )


def _ending(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"exit status {status}"
    name = next((known.name for known in signal.Signals if known == -status), "unknown")
    return f"signal {-status} ({name})"
