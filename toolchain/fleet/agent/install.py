"""Bringing a release into a slot, and mending a slot that was damaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from profiles.errors import OutputError, VerificationError
from toolchain.fleet.agent import events as ev
from toolchain.fleet.agent.blobs import Blobs
from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.agent.protocols import CheckError, Transport, Trust
from toolchain.fleet.agent.provides import choose
from toolchain.fleet.agent.slots import Record, Slots, damaged
from toolchain.fleet.agent.state import SLOTS, State
from toolchain.fleet.documents.release import Packed


class Installer:
    """Fills and mends slots.

    Args:
        folder: the agent's.
        trust, transport, disk, slots: the world.
        has: what the device provides.
        installed: packages where bundles run.
    """

    def __init__(
        self,
        folder: Path,
        trust: Trust,
        transport: Transport,
        disk: Disk,
        *,
        slots: Slots,
        has: Mapping[str, str],
        installed: Callable[[], Mapping[str, str]],
    ) -> None:
        self._folder, self._trust, self._transport = folder, trust, transport
        self._disk, self._slots, self._has, self._installed = disk, slots, has, installed

    def fetch(self, state: State, action: ev.Fetch) -> ev.Fetched:
        """Bring a release into a slot.

        Raises:
            CheckError: no bundle of it fits this device.
            EdgewrightError: it cannot be fetched, or is not to be trusted.
        """
        bundle = self._bundle(action.release)
        record = Record(action.release, state.attempt.sequence, bundle)
        if self._slots.record(action.slot) == record and not damaged(self._slots.path(action.slot), bundle):
            return ev.Fetched(bundle.builds, bundle.budget, 0, bundle.size)
        try:
            blobs = self._blobs()
            found = blobs.gather(bundle)
        except OutputError:
            if not self._slots.path(action.slot).exists():
                raise
            self._disk.remove(self._slots.path(action.slot))  # nothing runs from it: its room is for the new one
            blobs = self._blobs()
            found = blobs.gather(bundle)
        self._slots.fill(action.slot, record, lambda file: found[file.content.sha256])
        self.tidy()
        return ev.Fetched(bundle.builds, bundle.budget, blobs.tally.fetched, blobs.tally.full)

    def _bundle(self, version: int) -> Packed:
        bundle, reasons = choose(self._trust.release(version), self._has, self._installed)
        if bundle is None:
            raise CheckError("depends", f"no bundle of release {version} fits: {'; '.join(reasons)}")
        return bundle

    def _blobs(self) -> Blobs:
        bases = {}
        for slot in reversed(SLOTS):
            record = self._slots.record(slot)
            for file in record.bundle.files if record else ():
                bases[file.content.sha256] = self._slots.path(slot) / file.path
        return Blobs(self._folder / "partial", self._transport, self._disk, bases)

    def tidy(self) -> None:
        """Remove what was fetched: it is in its slot."""
        for path in sorted((self._folder / "partial").glob("*")):
            self._disk.remove(path)

    def trouble(self, state: State) -> list[str]:
        """Files of the running slot that are damaged; its record counts as one."""
        if not state.slot:
            return []
        record = self._slots.record(state.slot)
        if record is None or record.release != state.running:
            return ["slot.json"]
        return [file.path for file in damaged(self._slots.path(state.slot), record.bundle)]

    def mend(self, state: State) -> None:
        """Put the running slot right, file by file; the files that are sound are not touched.

        Raises:
            EdgewrightError: what is needed cannot be fetched, or is not to be trusted.
        """
        record = self._slots.record(state.slot)
        if record is None or record.release != state.running:
            record = Record(state.running, state.attempt.sequence, self._bundle(state.running))
        found = self._blobs().gather(record.bundle)
        for file in damaged(self._slots.path(state.slot), record.bundle):
            self._slots.mend(state.slot, file, found[file.content.sha256])
        self._slots.keep_record(state.slot, record)
        if left := damaged(self._slots.path(state.slot), record.bundle):
            raise VerificationError(f"{left[0].path} is still damaged", seen="the disk does not keep what is written")
        self.tidy()
