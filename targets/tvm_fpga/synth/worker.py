"""Runs one tool, alone in its process: ``python -m targets.tvm_fpga.synth.worker REQUEST``.

The request is JSON: ``folder``, ``package``, ``call``, ``arguments``, ``log``. The tools are WebAssembly in this
process and see the file system through it: names relative to the folder work everywhere, absolute ones below ``/tmp``
do not. What the tool prints goes into the log, from which progress is told in JSON lines (``targets/execute.py``).
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

from profiles.errors import EdgewrightError, MissingToolError
from targets.tvm_fpga.synth.stages import stage_of
from targets.worker import end_with_parent

_INTERVAL = 0.5


def tool(package: str, call: str) -> Callable[[list[str]], int]:
    """The function that runs a tool.

    Raises:
        MissingToolError: its package is not installed.
    """
    try:
        found: Callable[[list[str]], int] = getattr(importlib.import_module(package), call)
    except ImportError as error:
        name = package.replace("_", "-")
        raise MissingToolError(
            f"wanted the tool of the Python package {name}", seen=str(error), next_step=f"pip install {name}"
        ) from error
    return found


class Follower:
    """Reads a log that is being written, and says the stages that its lines mean."""

    def __init__(self, path: str, say: Callable[[str], None]) -> None:
        self._path, self._say = path, say
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._last = ""

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        with open(self._path, encoding="utf-8", errors="replace") as stream:
            while not self._over.wait(_INTERVAL):
                self._read(stream)
            self._read(stream)

    def _read(self, stream: TextIO) -> None:
        for line in stream:
            stage = stage_of(line)
            if stage and stage != self._last:
                self._last = stage
                self._say(stage)


def main(argv: list[str] | None = None) -> int:
    """Entry point: the request is the first argument."""
    request: dict[str, Any] = json.loads((sys.argv[1:] if argv is None else argv)[0])
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    end_with_parent(sys.stdin)

    def say(event: dict[str, Any]) -> None:
        channel.write(json.dumps(event) + "\n")
        channel.flush()

    os.chdir(request["folder"])
    with open(request["log"], "wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        run = tool(request["package"], request["call"])
        with Follower(request["log"], lambda stage: say({"event": "progress", "stage": stage})):
            status = run(list(request["arguments"]))
    except EdgewrightError as error:
        say({"event": "error", **error.as_dict()})
        return 1
    say({"event": "result", "status": status})
    return 0


if __name__ == "__main__":
    sys.exit(main())
