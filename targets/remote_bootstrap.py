"""The small program that runs on the device: takes a bundle in, runs its worker, leaves nothing behind.

``targets/remote.py`` sends this text as ``python3 -c`` over ssh; it imports nothing of ours and keeps to
Python 3.6, so that an interpreter which is too old can still say so in words.

In, on standard input: a line ``LENGTH SHA256`` that describes the header, the header (JSON: ``files``
with ``name``, ``size`` and ``sha256``, ``request``, ``outputs``, ``min_python``, ``timeout`` in seconds),
then the files' bytes one after the other. It stays open from then on: its end means that nobody is waiting.

Out, on standard output, JSON lines: ``hello``, the worker's own events, ``chunk`` (base64 pieces of the
outputs file) and, after the folder has been removed, the worker's ``result`` or an ``error``.
"""

import base64
import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

BLOCK = 1 << 16
CHUNK = 3 << 16
LONGEST_HEADER = 16 << 20
SECONDS_BETWEEN_PROGRESS = 0.2
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Refused(Exception):
    """Ends the session with an ``error`` event; ``kind`` is a class of ``profiles/errors.py``."""

    def __init__(self, kind: str, wanted: str, seen: str = "", allowed: str = "", next_step: str = "") -> None:
        Exception.__init__(self, wanted)
        words = {"wanted": wanted, "seen": seen, "allowed": allowed, "next_step": next_step}
        self.event = {"event": "error", "type": kind, **words}  # type: dict[str, Any]


class Abandoned(Exception):
    """Standard input ended: the connection is lost, or the other side has gone."""


def say(event: "dict[str, Any]") -> None:
    """One event, straight to the file descriptor, so that nothing is left to flush at the end."""
    data = json.dumps(event).encode() + b"\n"
    while data:
        data = data[os.write(1, data) :]


def take(size: int) -> bytes:
    """At least one and at most ``size`` bytes of standard input."""
    data = os.read(0, min(size, BLOCK))
    if not data:
        raise Abandoned
    return data


def take_all(size: int) -> bytes:
    """Exactly ``size`` bytes."""
    data = b""
    while len(data) < size:
        data += take(size - len(data))
    return data


def take_header() -> "dict[str, Any]":
    """The header, checked against its hash."""
    line = b""
    while not line.endswith(b"\n") and len(line) < 100:
        line += take(1)
    words = line.split()
    if len(words) != 2 or not words[0].isdigit() or int(words[0]) > LONGEST_HEADER:
        raise Refused("VerificationError", "the header of the upload arrived damaged", repr(line))
    data = take_all(int(words[0]))
    if hashlib.sha256(data).hexdigest() != words[1].decode("ascii", "replace"):
        raise Refused("VerificationError", "the header of the upload arrived damaged", "another SHA-256")
    header = json.loads(data.decode("utf-8"))
    return dict(header)


def check_interpreter(least: "tuple[int, ...]") -> None:
    """Refuse what cannot run the worker, before anything large is sent."""
    here = f"Python {platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] < least:
        raise Refused(
            "MissingToolError",
            "the device needs Python {}.{} or newer".format(*least),
            here,
            next_step="install a newer Python (Debian 12, Ubuntu 22.04 and Raspberry Pi OS 12 have one), "
            "and name it if it is not the default 'python3'",
        )
    if importlib.util.find_spec("numpy") is None:
        raise Refused(
            "MissingToolError",
            "the device needs numpy",
            "not installed for " + here,
            next_step=f"run: sudo apt-get install python3-numpy, or: {sys.executable} -m pip install numpy",
        )


def store(folder: str, entry: "dict[str, Any]") -> None:
    """Write one file of the upload below ``folder``; never outside of it, never over another."""
    name, size = str(entry["name"]), int(str(entry["size"]))
    path = os.path.normpath(os.path.join(folder, name))
    if os.path.isabs(name) or not path.startswith(os.path.join(folder, "")):
        raise Refused("VerificationError", "an upload holds only files below its own folder", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    digest = hashlib.sha256()
    with open(path, "xb") as stream:
        while size:
            block = take(size)
            digest.update(block)
            stream.write(block)
            size -= len(block)
    if digest.hexdigest() != entry["sha256"]:
        raise Refused("VerificationError", f"{name} arrived damaged", "another SHA-256", next_step="run it again")


def send_file(path: str) -> "dict[str, Any]":
    """The file as ``chunk`` events; returns what the other side checks it with."""
    digest = hashlib.sha256()
    total = os.path.getsize(path)
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(CHUNK), b""):
            digest.update(block)
            say({"event": "chunk", "total": total, "data": base64.b64encode(block).decode("ascii")})
    return {"size": total, "sha256": digest.hexdigest()}


class Lines:
    """Cuts the worker's output into lines, passes events on (progress not too often), keeps the final one."""

    def __init__(self) -> None:
        self.rest = b""
        self.final = None  # type: dict[str, Any] | None
        self.said = 0.0

    def add(self, data: bytes) -> None:
        """The next piece of output."""
        parts = (self.rest + data).split(b"\n")
        self.rest = parts.pop()
        for line in parts:
            self.line(line)

    def line(self, line: bytes) -> None:
        """One complete line; what is not an event was printed by some library."""
        try:
            event = json.loads(line.decode("utf-8"))
        except ValueError:
            return
        kind = event.get("event") if isinstance(event, dict) else None
        if kind in ("result", "error"):
            self.final = self.final or event
        elif kind == "progress" and time.monotonic() - self.said >= SECONDS_BETWEEN_PROGRESS:
            self.said = time.monotonic()
            say(event)


class Session:
    """A folder and a worker in it, and the promise that neither is left behind."""

    def __init__(self) -> None:
        self.folder = ""
        self.worker = None  # type: subprocess.Popen[bytes] | None
        self.words = b""

    def serve(self) -> "dict[str, Any]":
        """Everything from the first byte to the worker's final event."""
        say({"event": "hello", "python": platform.python_version()})
        header = take_header()
        check_interpreter(tuple(header["min_python"]))
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="edgewright-"))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        for entry in header["files"]:
            store(self.folder, entry)
        say({"event": "unpacked"})
        final = self.run(header["request"], header["timeout"])
        if final["event"] == "result" and header["outputs"]:
            final["outputs"] = send_file(os.path.join(self.folder, header["outputs"]))
        return final

    def start(self, request: "dict[str, Any]") -> "subprocess.Popen[bytes]":
        """The worker, in its own session, with its scratch files inside our folder.

        ``-E``: no PYTHONPATH, but the user's own packages, where engines often are; ``-B``: no bytecode files.
        """
        scratch = os.path.join(self.folder, "tmp")
        os.mkdir(scratch)
        pipe = subprocess.PIPE
        try:
            return subprocess.Popen(
                [sys.executable, "-E", "-B", "runtime.pyz", json.dumps(request)],
                cwd=self.folder,
                env=dict(os.environ, TMPDIR=scratch, XDG_CACHE_HOME=scratch),
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                start_new_session=True,
            )
        except OSError as error:
            raise Refused("ToolCrashError", "the worker could not be started on the device", str(error)) from error

    def run(self, request: "dict[str, Any]", timeout: float) -> "dict[str, Any]":
        """Run the worker to its final event, watching whether anybody still waits for it."""
        self.worker = worker = self.start(request)
        assert worker.stdout is not None and worker.stderr is not None
        out, err = worker.stdout.fileno(), worker.stderr.fileno()
        open_ends, lines, deadline = [0, out, err], Lines(), time.monotonic() + timeout
        while lines.final is None and (out in open_ends or err in open_ends):
            ready = select.select(open_ends, [], [], max(0.0, deadline - time.monotonic()))[0]
            if not ready:
                raise Refused("ToolCrashError", "the worker did not finish and was stopped", "", f"{timeout:g} s")
            for end in ready:
                data = os.read(end, BLOCK)
                if not data:
                    open_ends.remove(end)
                self.heard(end, data, out, lines)
        return lines.final or self.crash(worker)

    def heard(self, end: int, data: bytes, out: int, lines: Lines) -> None:
        """Data, or the end of it, from our standard input, the worker's output or its errors."""
        if end == 0:
            if not data:
                raise Abandoned
        elif end == out:
            lines.add(data)
        else:
            os.write(2, data)
            self.words = (self.words + data)[-2000:]

    def crash(self, worker: "subprocess.Popen[bytes]") -> "dict[str, Any]":
        """The event for a worker that ended without one."""
        status = worker.wait()
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        if status == -signal.SIGKILL:
            how += " (on Linux usually: the device ran out of memory)"
        last = [line.strip() for line in self.words.decode("utf-8", "replace").splitlines() if line.strip()][-3:]
        seen = f"{how}; last words: {' | '.join(last) or 'none'}"
        return Refused("ToolCrashError", "the worker on the device ended without a result", seen).event

    def close(self) -> None:
        """End the worker and whatever it started, and remove the folder; not to be interrupted."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        if self.worker is not None:
            with contextlib.suppress(ProcessLookupError):  # all of them have ended
                os.killpg(self.worker.pid, signal.SIGKILL)
            self.worker.wait()
        if self.folder:
            shutil.rmtree(self.folder)


def end(number: int, frame: object) -> None:
    """On a signal: leave through ``close``."""
    raise SystemExit(128 + number)


def main() -> int:
    """Serve one request; the final event is said when nothing is left behind."""
    os.umask(0o077)
    for number in SIGNALS:
        signal.signal(number, end)
    session = Session()
    try:
        final = session.serve()
    except Refused as refusal:
        final = refusal.event
    except (Abandoned, BrokenPipeError):
        return 3
    except OSError as error:
        final = storage_trouble(session.folder, error).event
    finally:
        session.close()
    with contextlib.suppress(BrokenPipeError):  # nobody is waiting any more
        say(final)
    return 0 if final["event"] == "result" else 1


def storage_trouble(folder: str, error: OSError) -> Refused:
    """The device's refusal to store the upload, in our words."""
    place = os.path.dirname(folder) or os.environ.get("TMPDIR", "/tmp")
    return Refused(
        "OutputError",
        f"cannot write below {place} on the device",
        error.strerror or str(error),
        next_step=f"free some space there (to see it: df -h {place}), or set TMPDIR there to a folder with room",
    )


if __name__ == "__main__":
    sys.exit(main())
