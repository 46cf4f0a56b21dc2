"""The only place that starts a process."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from profiles.errors import EdgewrightError, MissingToolError, ToolCrashError, error_from_dict

Event = dict[str, Any]


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
        _kill(process)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise ToolCrashError(f"{argv[0]} did not finish", allowed=f"{timeout:g} s") from error
        raise
    return Finished(process.returncode, stdout.decode(errors="replace"), stderr.decode(errors="replace"))


def _environment(extra: Mapping[str, str] | None) -> dict[str, str] | None:
    return {**os.environ, **extra} if extra else None


def python_argv(module: str, *arguments: str) -> list[str]:
    """The command line that runs one of our modules with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def converse(
    argv: Sequence[str],
    on_event: Callable[[Event], None] = lambda event: None,
    *,
    env: Mapping[str, str] | None = None,
    timeout: float = 3600.0,
    feed: Callable[[IO[bytes]], None] | None = None,
    explain: Callable[[int, str], EdgewrightError | None] = lambda status, stderr: None,
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

    Raises:
        EdgewrightError: what the worker reported, as the class it named.
        ToolCrashError: it died without a word: the last lines of its standard error are in the message.
        MissingToolError: the program is not installed.
    """
    process = _start(argv, env, stdin=subprocess.PIPE)
    tail = _Tail(process.stderr)
    with _killed_after(process, timeout) as expired:
        try:
            if feed is not None:
                _feed(process, feed)
            final = _read_events(process, on_event)
        except BaseException:
            _kill(process)
            raise
        finally:
            status = _end(process)
    tail.join()
    if final is None:
        reason = None if expired.is_set() else explain(status, tail.text())
        raise reason or _crash(argv, status, tail.text(), timeout if expired.is_set() else None)
    if final["event"] == "error":
        raise error_from_dict(final)
    return final


def _start(argv: Sequence[str], env: Mapping[str, str] | None, stdin: int) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that whatever it starts can be ended with it.

    Raises:
        MissingToolError: it is not installed, or is no program.
    """
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            list(argv), stdin=stdin, stdout=pipe, stderr=pipe, env=_environment(env), start_new_session=True
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        installed = "it is not installed" if isinstance(error, FileNotFoundError) else "it is not a program"
        raise MissingToolError(
            f"wanted to run {argv[0]}", seen=installed, next_step="run: edgewright doctor"
        ) from error


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and everything in its session; once it is reaped its number may be another's."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> int:
    """Hang up, wait for the worker, end what it left running in its session, and return its exit status."""
    _close(process.stdin)
    _close(process.stdout)  # a worker that goes on talking must not wait for a listener
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    _kill(process)
    return process.wait()


def _feed(process: subprocess.Popen[bytes], feed: Callable[[IO[bytes]], None]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # a worker that is gone left its last words on the other pipes
        feed(process.stdin)
        process.stdin.flush()


def _close(stream: IO[bytes] | None) -> None:
    if stream is None:
        return
    with contextlib.suppress(BrokenPipeError):  # the worker has ended already
        stream.close()


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


class _Tail:
    """Reads a stream to its end in a thread and keeps the last 40 lines."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        self.lines: list[str] = []
        self.stream = stream
        self.thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self.thread.start()

    def _read(self, stream: IO[bytes] | None) -> None:
        for line in stream or ():
            self.lines = [*self.lines[-39:], line.decode(errors="replace").rstrip()]

    def join(self) -> None:
        """Wait for the stream's end."""
        self.thread.join(timeout=5)
        if not self.thread.is_alive():
            _close(self.stream)

    def text(self) -> str:
        """The last lines."""
        return "\n".join(self.lines)


class _killed_after:
    """Kill the process when the time is over; the event tells that it happened."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self.expired = threading.Event()
        self.timer = threading.Timer(seconds, self._end, args=(process,))

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        self.expired.set()
        _kill(process)

    def __enter__(self) -> threading.Event:
        self.timer.daemon = True
        self.timer.start()
        return self.expired

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()


def _crash(argv: Sequence[str], status: int, stderr: str, expired_after: float | None) -> ToolCrashError:
    if expired_after is not None:
        return ToolCrashError(f"{argv[0]} did not finish and was stopped", allowed=f"{expired_after:g} s")
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    last = [line for line in stderr.splitlines() if line.strip()][-3:]
    return ToolCrashError(
        f"{Path(argv[0]).name} ended without a result", seen=f"{how}; last words: {' | '.join(last) or 'none'}"
    )
