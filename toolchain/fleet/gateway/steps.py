"""Single steps of the gateway as child processes, so that the agent stays small and a step that hangs can be ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from profiles.errors import EdgewrightError
from targets.execute import Finished, python_argv, run_program
from toolchain.fleet.agent.protocols import CheckError
from toolchain.fleet.agent.words import one_line
from toolchain.fleet.gateway.place import Place

#: How often the board is asked before it counts as lost; each time waits for an answer.
_TRIES = 3
#: A reason that may be tried again: see toolchain.fleet.agent.machine.LASTING.
LOST = "download"


class BoardSteps:
    """Runs single steps.

    Args:
        place: where the board is.
        seconds: the most that one step may take.
        start: runs a program to its end.
    """

    def __init__(self, place: Place, seconds: float, start: Callable[..., Finished] = run_program) -> None:
        self._place, self._seconds, self._start = place, seconds, start

    def run(self, command: str, slot: Path | None = None) -> Mapping[str, Any]:
        """The step's answer.

        Raises:
            CheckError: it did not work out.
        """
        where = [str(slot)] if slot is not None else []
        argv = python_argv("toolchain.fleet.gateway", command, *where, *self._place.words())
        try:
            done = self._start(argv, timeout=self._seconds)
        except EdgewrightError as error:
            raise CheckError(LOST, one_line(str(error))) from error
        try:
            answer = json.loads(done.stdout)
        except ValueError as error:
            raise CheckError("internal", one_line(f"{command} ended with {done.status}: {done.stderr}")) from error
        if done.status:
            raise CheckError(str(answer["reason"]), one_line("; ".join(filter(None, answer["error"].values()))))
        return dict(answer)

    def run_patiently(self, command: str, slot: Path | None = None) -> Mapping[str, Any]:
        """The same, again when the line was lost for a moment."""
        for _ in range(_TRIES - 1):
            try:
                return self.run(command, slot)
            except CheckError as error:
                if error.reason != LOST:
                    raise
        return self.run(command, slot)
