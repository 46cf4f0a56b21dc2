"""The agent's view of a board: installs by flashing it, checks over its serial line, switches, keeps, and goes back.

:class:`BoardRuntime` is a :class:`~toolchain.fleet.agent.protocols.Runtime`, :class:`BoardSlots` are the agent's slots,
of which the board runs one: ``current`` leads to a slot only while the board runs that slot's firmware. The checks of a
release are a trial of their own, after which the board goes back; the switch is the next one, and the commit keeps it.

Every step is a child process (``python -m toolchain.fleet.gateway``), see :class:`BoardSteps`.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.agent.protocols import CheckError, Runtime
from toolchain.fleet.agent.slots import Slots
from toolchain.fleet.agent.words import one_line
from toolchain.fleet.gateway.board_slots import BoardSlots
from toolchain.fleet.gateway.steps import LOST, BoardSteps

__all__ = ["BoardRuntime", "BoardSlots", "BoardSteps"]

_GONE = "the board does not run this release any more: it restarted, and its bootloader went back"


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
        """Flash: the board runs the firmware of this slot, on trial; where that fails midway, it goes back at once."""
        with self._else_back():
            self._steps.run("install", folder)

    def golden(self, folder: Path) -> None:
        """Compare the golden outputs on the board; where they differ, it goes back at once."""
        with self._else_back():
            self._ask_firmware("golden", folder)

    def latency(self, folder: Path) -> Mapping[str, float]:
        """Measure on the board; of the slot that ``current`` leads to, during a trial, what was measured when it ran.

        Then it goes back: whether the figures are good enough is for others to say, and they may say no.

        Raises:
            CheckError: it did not work out, or the board restarted, and gave up what is to be measured.
        """
        status = self._steps.run_patiently("status", folder)
        kept = self._remembered()
        if not status["runs"]:
            if Slots(folder.parents[1], self._disk).pointed() != folder.name:
                raise CheckError("crash", f"{_GONE} before it was measured")
            return kept.get(status["wanted"], {})
        try:
            answer = self._ask_firmware("latency", folder)
        finally:
            self._go_back()
        found = _sound(answer["figures"])
        newest = dict([*kept.items(), (status["wanted"], found)][-4:])
        self._disk.write(self._figures, json.dumps(newest).encode(), 0o644)
        return found

    def _ask_firmware(self, command: str, folder: Path) -> Mapping[str, Any]:
        """A step that speaks to the firmware itself.

        Raises:
            CheckError: it did not work out; ``crash`` when the board says that it runs, and it does not answer: to
                flash it again and again would wear the board's flash in vain.
        """
        try:
            return self._steps.run_patiently(command, folder)
        except CheckError as error:
            if error.reason != LOST or not self._steps.run_patiently("status", folder)["runs"]:
                raise
            raise CheckError("crash", f"the firmware runs, and does not answer: {error.detail}") from error

    @contextlib.contextmanager
    def _else_back(self) -> Iterator[None]:
        """Go back from what fails inside."""
        try:
            yield
        except CheckError:
            self._go_back()
            raise

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
            return _GONE
        return self._user.health(folder)

    def _remembered(self) -> dict[str, dict[str, float]]:
        try:
            data = json.loads(self._figures.read_bytes())
            return {str(key): {str(name): float(value) for name, value in row.items()} for key, row in data.items()}
        except (OSError, ValueError, AttributeError, TypeError, OverflowError):
            return {}  # it only serves a comparison, and is written anew


def _sound(figures: Mapping[str, Any]) -> dict[str, float]:
    """Figures that can be: a NaN would pass every budget.

    Raises:
        CheckError: one is no number, not finite, or negative.
    """
    for name, value in figures.items():
        if type(value) not in (int, float) or not 0 <= value <= sys.float_info.max:
            raise CheckError("crash", one_line(f"the board measured what cannot be: {name} is {str(value)[:80]}"))
    return {name: float(value) for name, value in figures.items()}
