"""The state on the disk: with a checksum, in two copies, mended from the other copy or from the slots."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from profiles.errors import VerificationError
from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.agent.slots import Slots
from toolchain.fleet.agent.state import State
from toolchain.fleet.documents.report import Attempt
from toolchain.fleet.documents.strict import from_bytes, to_bytes

#: The state's file, and its copy.
FILES = ("state.json", "state.json.bak")
#: Name of the floor under the plan's ``sequence``.
SEQUENCE = "sequence"


class Keeper:
    """Reads and writes ``state.json`` and ``state.json.bak`` in the agent's folder."""

    def __init__(self, folder: Path, disk: Disk, slots: Slots, say: Callable[[str], None]) -> None:
        self.path, self.spare = (folder / name for name in FILES)
        self._disk, self._slots, self._say = disk, slots, say

    def load(self) -> State:
        """The state as it was kept; where both copies are damaged or gone, as the slots tell it."""
        found = read_state(self.path)
        if found is not None:
            return found
        is_new = not self.path.exists() and not self.spare.exists()
        found = read_state(self.spare)
        if found is not None:
            self._say("the state file is damaged or gone; its copy is whole and is used")
            self.save(found)
            return found
        found = self._from_slots()
        if found.slot or not is_new:
            runs = found.running or "none"
            self._say(f"both state files are damaged or gone; the slots say that version {runs} runs")
            self.save(found)
        return found

    def save(self, state: State) -> None:
        """Keep it.

        Raises:
            OutputError: the disk is full or read-only; what was kept before is still there.
        """
        content = sealed(to_bytes(state))
        self._disk.write(self.path, content)
        self._disk.write(self.spare, content)

    def _from_slots(self) -> State:
        """The committed slot that ``current`` leads to, else the newest committed one, else where ``current`` leads.

        What is in no such slot was never checked to its end: it would be taken for what runs.
        """
        pointed = self._slots.pointed()
        ranked = []
        for name, record in self._slots.records().items():
            committed = self._slots.is_committed(name)
            if committed or name == pointed:
                ranked.append((committed, committed and name == pointed, record.release, name, record))
        if not ranked:
            return State()
        *_, name, record = max(ranked, key=lambda row: row[:4])
        attempt = Attempt(record.release, record.sequence, "idle", "committed")
        return State(name, record.release, attempt=attempt, floors={SEQUENCE: record.sequence})


def sealed(content: bytes) -> bytes:
    """With its SHA-256 in a line before."""
    return hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def unsealed(data: bytes) -> bytes | None:
    """The content, or None where the checksum does not fit."""
    digest, _, content = data.partition(b"\n")
    return content if hashlib.sha256(content).hexdigest().encode() == digest else None


def read_state(path: Path) -> State | None:
    """What a file holds; None where it is gone or damaged."""
    try:
        content = unsealed(path.read_bytes())
        return None if content is None else from_bytes(State, content)
    except (OSError, VerificationError):
        return None
