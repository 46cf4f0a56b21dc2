"""Processes that somebody else started: end them, follow what they print. Nothing here starts one."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import IO


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and everything in its session; once it is reaped its number may be another's."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def close(stream: IO[bytes] | None) -> None:
    """Close our end of a pipe."""
    if stream is None:
        return
    with contextlib.suppress(BrokenPipeError):  # the other end is gone already
        stream.close()


class Leash:
    """Ends, from any thread, all workers that run on it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._is_cut = False

    @contextlib.contextmanager
    def held(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Hold a process while inside."""
        with self._guard:
            self._processes.add(process)
            if self._is_cut:
                kill(process)
        try:
            yield
        finally:
            with self._guard:
                self._processes.discard(process)

    def cut(self) -> None:
        """Kill the workers of now, and those that are yet to come; whoever waits for one is told that it crashed."""
        with self._guard:
            self._is_cut = True
            for process in self._processes:
                kill(process)


class Tail:
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
            close(self.stream)

    def text(self) -> str:
        """The last lines."""
        return "\n".join(self.lines)


class KilledAfter:
    """Kill the process when the time is over; the event tells that it happened."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self.expired = threading.Event()
        self.timer = threading.Timer(seconds, self._end, args=(process,))

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        self.expired.set()
        kill(process)

    def __enter__(self) -> threading.Event:
        self.timer.daemon = True
        self.timer.start()
        return self.expired

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()


class Conversation:
    """Bytes to and from a program's standard input and output; no call waits longer than its time limit."""

    def __init__(self, process: subprocess.Popen[bytes], keeper: int) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self._keeper = process, keeper
        self._tail = Tail(process.stderr)
        self._in, self._out = process.stdin.fileno(), process.stdout.fileno()
        os.set_blocking(self._in, False)

    def read(self, timeout: float) -> bytes:
        """Whatever is there, as soon as there is something; b"" when nothing came in time.

        Raises:
            EOFError: the program has ended, or has closed its output.
        """
        if not select.select([self._out], [], [], max(timeout, 0.0))[0]:
            return b""
        data = os.read(self._out, 1 << 16)
        if not data:
            raise EOFError
        return data

    def write(self, data: bytes, timeout: float) -> int:
        """Write all that the program takes in time, and return how much that was.

        Raises:
            EOFError: the program has ended, or has closed its input.
        """
        end, done = time.monotonic() + timeout, 0
        while done < len(data) and select.select([], [self._in], [], max(end - time.monotonic(), 0.0))[1]:
            try:
                done += os.write(self._in, data[done : done + select.PIPE_BUF])
            except BrokenPipeError as error:
                raise EOFError from error
        return done

    def hang_up(self, timeout: float) -> None:
        """Close the program's standard input, and wait for its end."""
        close(self.process.stdin)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout)

    def ask_to_end(self, timeout: float) -> None:
        """Send the program SIGTERM, and wait for its end; harmless when it is over."""
        with contextlib.suppress(BrokenPipeError, subprocess.TimeoutExpired):
            os.write(self._keeper, b"TERM\n")
            self.process.wait(timeout)

    def last_words(self) -> tuple[int, str]:
        """Once it has ended: exit status (negative for a signal) and the last lines of standard error."""
        status = self.process.wait(timeout=5)
        self._tail.join()
        return (128 - status if status > 128 else status), self._tail.text()
