"""The agent's slots where a board runs what ``current`` leads to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from profiles.errors import OutputError, UnreachableError
from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.agent.protocols import CheckError
from toolchain.fleet.agent.slots import Slots
from toolchain.fleet.gateway.steps import LOST, BoardSteps


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
            kind = UnreachableError if error.reason == LOST else OutputError
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
