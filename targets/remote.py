"""Run a bundle's worker on another machine over ssh, and leave nothing behind there.

One connection carries everything: the command line brings a small program
(``targets/remote_bootstrap.py``), standard input the runtime and the bundle, standard output the
worker's events. When the connection ends, for whatever reason, the device stops and cleans up.
"""

from __future__ import annotations

import base64
import dataclasses
import shlex
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from profiles.errors import EdgewrightError, MissingToolError, UnreachableError
from profiles.units import format_quantity
from targets import execute
from targets.artifact import load_artifact
from targets.execute import Event
from targets.runtime import runtime_zipapp
from targets.ssh import Address, SshOptions, explain, last_line, parse_address, ssh_argv
from targets.transfer import Download, Upload, plan_upload

OnEvent = Callable[[Event], None]
_BOOTSTRAP = Path(__file__).with_name("remote_bootstrap.py")
#: What the pipe to ssh may hold (pipe(7)): when more than this was written, ssh has logged in and reads.
_PIPE = 1 << 16


def converse(
    url: str,
    bundle: Path,
    request: Mapping[str, Any],
    on_event: OnEvent = lambda event: None,
    *,
    python: str = "python3",
    options: SshOptions | None = None,
    timeout: float = 3600.0,
) -> Event:
    """Let the worker on ``url`` carry out ``request`` on ``bundle``; returns its ``result`` event.

    Args:
        url: ``ssh://[user@]host[:port]``.
        bundle: the folder here; its files are checked, sent, and checked again there.
        request: as for ``targets/worker.py``. ``inputs`` and ``outputs`` (action ``run``) are ``.npz`` files
            here; they are sent and brought back.
        on_event: gets progress events, with ``done``, ``total`` and a ``stage``: ``upload`` (bytes), the
            request's action, ``download`` (bytes).
        python: the interpreter on the device: a name, or a path (``~/`` is the home folder there).
        options: how to call ``ssh``.
        timeout: seconds for everything.

    Raises:
        ConfigError: the address, the bundle, the inputs or a file for ssh is not one.
        VerificationError: the bundle is damaged, here or after the upload, or its outputs differ there.
        UnreachableError: no connection (host, host key, login), or it was lost on the way.
        MissingToolError: no ssh here; no Python, numpy or engine there.
        OutputError: no room there for the bundle, or here for the outputs.
        ToolCrashError: the worker died.
    """
    address = parse_address(url)
    artifact = load_artifact(bundle)
    argv = ssh_argv(address, remote_command(python), options or SshOptions())
    request = {**request, "where": f"on {address}"}
    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch, Download(request.get("outputs")) as download:
        runtime = runtime_zipapp(artifact.target, Path(scratch) / "runtime.pyz")
        upload = plan_upload(artifact, runtime, request, timeout)
        return Journey(address, str(request["action"]), upload, download, on_event).make(argv, timeout)


def remote_command(python: str) -> str:
    """The shell command for the device; packed so that every login shell passes it on unharmed.

    Python is told to look for modules neither in the folder that it starts in nor in PYTHONPATH.
    """
    interpreter = f"~/{shlex.quote(python[2:])}" if python.startswith("~/") else shlex.quote(python)
    packed = base64.b64encode(zlib.compress(_BOOTSTRAP.read_bytes(), 9)).decode("ascii")
    code = (
        "import sys;sys.path=[p for p in sys.path if p];"
        "sys.version_info<(3,6)and(sys.stderr.write('this is Python '+sys.version.split()[0]),sys.exit(126));"
        f"import base64,zlib;exec(zlib.decompress(base64.b64decode('{packed}')))"
    )
    return f'{interpreter} -E -B -c "{code}"'


@dataclasses.dataclass
class Journey:
    """One conversation with a device, and how far it got."""

    address: Address
    action: str
    upload: Upload
    download: Download
    on_event: OnEvent
    sent: int = 0
    stage: str = ""
    position: str = ""

    def make(self, argv: list[str], timeout: float) -> Event:
        """Go there and back; returns the result event."""
        try:
            event = execute.converse(argv, self.hear, timeout=timeout, feed=self.feed, explain=self.explain)
        except MissingToolError as error:
            raise self._there(error) from error
        self.download.finish(event.pop("outputs", None))
        return event

    def feed(self, stream: IO[bytes]) -> None:
        """Send everything, telling how far it is."""
        stream.write(self.upload.preamble())
        for block in self.upload.blocks():
            stream.write(block)
            self.sent += len(block)
            self.on_event({"event": "progress", "stage": "upload", "done": self.sent, "total": self.upload.size})

    def hear(self, event: Event) -> None:
        """Follow the device's events; the caller's function gets the progress among them."""
        if event["event"] == "hello":
            self.stage = "upload"
        elif event["event"] == "unpacked":
            self.stage, self.position = self.action, "before its first progress"
        elif event["event"] == "chunk":
            self.download.add(base64.b64decode(event["data"]))
            self._progress("download", self.download.size, event["total"])
        elif event["event"] == "progress":
            self._progress(self.action, event["done"], event["total"])

    def _progress(self, stage: str, done: int, total: int) -> None:
        self.stage, self.position = stage, f"at {done} of {total}"
        self.on_event({"event": "progress", "stage": stage, "done": done, "total": total})

    def explain(self, status: int, words: str) -> EdgewrightError | None:
        """The reason why ``ssh`` ended without a result: before, or after the device answered."""
        if not self.stage and (status != 255 or self.sent <= _PIPE):
            return explain(self.address, status, words)
        if status != 255 and status <= 128:
            return None
        return UnreachableError(
            f"the connection to {self.address} was lost {self._where()}",
            seen=last_line(words) or f"ssh ended with status {status}",
            next_step="check the device and its network, and run it again; the device removes by itself what was sent",
        )

    def _where(self) -> str:
        if self.stage not in ("", "upload"):
            return f"during '{self.stage}', {self.position}"
        sent, total = (format_quantity(size, "B") for size in (self.sent, self.upload.size))
        return f"during the upload, when about {sent} of {total} had been sent"

    def _there(self, error: MissingToolError) -> MissingToolError:
        """Say on which machine something is missing."""
        step = error.next_step if str(self.address) in error.wanted else f"on {self.address}: {error.next_step}"
        return MissingToolError(error.wanted, seen=error.seen, allowed=error.allowed, next_step=step)
