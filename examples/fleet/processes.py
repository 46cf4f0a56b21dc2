"""Programs that the demo starts and ends: by their own process ids, whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path

#: Seconds to end by itself before a process is killed.
_PATIENCE = 5.0


class Processes:
    """Started programs, ended in the opposite order. Each leads a group of its own, so its children end with it."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._afterwards: list[Callable[[], None]] = []

    def start(
        self, name: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program; what it prints goes to a file of its name."""
        words = [str(word) for word in argv]
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **(env or {})},
            )  # fmt: skip
        self._running.append((name, process))
        return process

    def afterwards(self, call: Callable[[], None]) -> None:
        """Call this once when all programs have ended: to remove what only they needed."""
        self._afterwards.append(call)

    def log(self, name: str) -> str:
        """The end of what a program printed."""
        path = self._logs / f"{name}.log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def ended(self) -> list[str]:
        """Names of those that ended although nobody asked them to."""
        return [name for name, process in self._running if process.poll() is not None]

    def stop(self, mark: str = "") -> None:
        """End all of them, and what they started; twice does no harm.

        A session of an ssh server leaves its group, gets an environment of its own, and goes on without the server.

        Args:
            mark: words in the environment of everything that we started, and of nothing else, such as a temporary
                folder of ours: so those are found, too, that left the group of the program that started them.
        """
        running, self._running = self._running, []
        theirs = descendants({process.pid for _, process in running})
        for _, process in reversed(running):
            _signal(process, signal.SIGTERM)
        for _, process in reversed(running):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE)
            _signal(process, signal.SIGKILL)
            process.wait()
        end = time.monotonic() + _PATIENCE
        while (left := [*_living(theirs), *(marked(mark) if mark else [])]) and time.monotonic() < end:
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        while self._afterwards:
            self._afterwards.pop()()


def marked(mark: str) -> list[int]:
    """Ids of processes, but for ourselves, that were started with these words in their environment (proc(5))."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it ended, or belongs to another user
            if mark.encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
    return found


def descendants(pids: Set[int]) -> dict[int, str]:
    """Processes that were started by these, or by those: their ids, with the moment of their start (proc(5))."""
    found = {int(path.parent.name): fields for path in Path("/proc").glob("[0-9]*/stat") if (fields := _fields(path))}
    known, size = set(pids), -1
    while len(known) != size:
        size = len(known)
        known |= {pid for pid, fields in found.items() if int(fields[1]) in known}
    return {pid: found[pid][19] for pid in known - pids if pid in found}


def _fields(stat: Path) -> list[str]:
    """From the third on: state, parent, and so on; empty for a process that is gone, or only waits to be reaped."""
    with contextlib.suppress(OSError):
        fields = stat.read_text().rpartition(")")[2].split()
        return [] if fields[0] in "ZX" else fields
    return []


def _living(processes: Mapping[int, str]) -> list[int]:
    """Those that still run; an id that was given to another process since is none."""
    return [pid for pid, start in processes.items() if _fields(Path(f"/proc/{pid}/stat"))[19:20] == [start]]


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """To the whole group: it exists as long as one of its members does."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
