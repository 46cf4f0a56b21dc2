"""The agent's view of a board: installs by flashing it, checks over its serial line, switches, keeps, and goes back.

:class:`BoardRuntime` is a :class:`~toolchain.fleet.agent.protocols.Runtime`, :class:`BoardSlots` are the agent's slots,
of which the board runs one: ``current`` leads to a slot only while the board runs that slot's firmware. The checks of a
release are a trial of their own, after which the board goes back; the switch is the next one, and the commit keeps it.

Every step is a child process (``python -m toolchain.fleet.gateway``), so that the agent stays small and a step that
hangs can be ended.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from profiles.errors import EdgewrightError, OutputError, UnreachableError
from targets.execute import Finished, python_argv, run_program
from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.agent.protocols import CheckError, Runtime
from toolchain.fleet.agent.reports import one_line
from toolchain.fleet.agent.slots import Slots
from toolchain.fleet.gateway.place import Place

#: How often the board is asked before it counts as lost; each time waits for an answer.
_TRIES = 3
_LOST = "download"  # a reason that may be tried again: see toolchain.fleet.agent.machine.LASTING


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
            raise CheckError(_LOST, one_line(str(error))) from error
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
                if error.reason != _LOST:
                    raise
        return self.run(command, slot)


class BoardRuntime:
    """A board as the agent's runtime.

    Args:
        steps: to run.
        user: asks the user's health check.
        figures: file for what was measured, so that there is something to compare the next release with.
        disk: writes it.
    """

    def __init__(self, steps: BoardSteps, user: Runtime, figures: Path, disk: Disk) -> None:
        self._steps, self._user, self._figures, self._disk = steps, user, figures, disk

    def build(self, folder: Path) -> None:
        """Flash: the board runs the firmware of this slot, on trial."""
        self._steps.run("install", folder)

    def golden(self, folder: Path) -> None:
        """Compare the golden outputs on the board; where they differ, it goes back at once."""
        try:
            self._steps.run("golden", folder)
        except CheckError:
            self._go_back()
            raise

    def latency(self, folder: Path) -> Mapping[str, float]:
        """Measure on the board; of a slot whose firmware it does not run now, what was measured when it did.

        Then it goes back: whether the figures are good enough is for others to say, and they may say no.
        """
        status = self._steps.run_patiently("status", folder)
        kept = self._remembered()
        if not status["runs"]:
            return kept.get(status["wanted"], {})
        try:
            answer = self._steps.run("latency", folder)
        finally:
            self._go_back()
        found = {str(name): float(value) for name, value in answer["figures"].items()}
        newest = dict([*kept.items(), (status["wanted"], found)][-4:])
        self._disk.write(self._figures, json.dumps(newest).encode(), 0o644)
        return found

    def _go_back(self) -> None:
        """End the trial; a board that is lost goes back with its next restart, or at the agent's next start."""
        with contextlib.suppress(CheckError):
            self._steps.run_patiently("back")

    def health(self, folder: Path) -> str:
        """Whether the board still runs this firmware, and what the user's check says."""
        try:
            status = self._steps.run_patiently("status", folder)
        except CheckError as error:
            return error.detail
        if not status["runs"]:
            return "the board does not run this release any more: it restarted, and its bootloader went back"
        return self._user.health(folder)

    def _remembered(self) -> dict[str, dict[str, float]]:
        try:
            data = json.loads(self._figures.read_bytes())
            return {str(key): {str(name): float(value) for name, value in row.items()} for key, row in data.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}  # it only serves a comparison, and is written anew


class BoardSlots(Slots):
    """The agent's slots where a board runs what ``current`` leads to.

    Args:
        folder, disk: as for :class:`~toolchain.fleet.agent.slots.Slots`.
        steps: to run.
        say: one line for people.
    """

    def __init__(self, folder: Path, disk: Disk, steps: BoardSteps, say: Callable[[str], None]) -> None:
        super().__init__(folder, disk)
        self._steps, self._say = steps, say

    def pointed(self) -> str:
        """Where ``current`` leads, if the board runs that: after a power failure it may have gone back.

        A slot that was committed, and that the board would still give up, is kept now.
        """
        slot = super().pointed()
        if not slot:
            return slot
        try:
            status = self._steps.run_patiently("status", self.path(slot))
            if status["runs"] and not status["kept"] and self.is_committed(slot):
                self._steps.run("keep", self.path(slot))
        except CheckError as error:
            self._say(f"the board cannot be asked: {error.detail}")
            return slot
        return slot if status["runs"] else ""

    def point(self, slot: str) -> None:
        """Have the board run a slot's firmware, and lead ``current`` there.

        Raises:
            UnreachableError: the board does not answer.
            OutputError: the board refuses, or the disk does.
        """
        try:
            self._steps.run_patiently("install" if slot else "back", self.path(slot) if slot else None)
        except CheckError as error:
            kind = UnreachableError if error.reason == _LOST else OutputError
            raise kind("the board cannot be switched", seen=error.detail) from error
        super().point(slot)

    def commit(self, slot: str) -> None:
        """Mark it, and have the board keep it; a board that was lost just now keeps it at the agent's next start.

        Raises:
            OutputError: the board or the disk refuses.
        """
        super().commit(slot)
        try:
            self._steps.run_patiently("keep", self.path(slot))
        except CheckError as error:
            raise OutputError("the board has not kept its firmware yet", seen=error.detail) from error
