"""A stand-in for a microcontroller's flash: a file with two slots, a scratch sector and a status sector.

Like NOR flash it is erased by sectors and written on erased bytes only. It survives when its process is killed. ``cut``
is a stand-in for a power failure: the operation of that number is done by half, and the process kills itself.
"""

import os
import signal

SECTOR, PAGE, ERASED = 4096, 256, 0xFF


class FlashStandIn:
    """Sectors of a file: the primary slot, the secondary slot, scratch, status."""

    def __init__(self, path, slot, cut=0):
        assert slot % SECTOR == 0
        self.slot, self.cut, self.operations = slot, cut, 0
        self.primary, self.secondary = range(slot), range(slot, 2 * slot)
        self.scratch, self.status = 2 * slot, 2 * slot + SECTOR
        self.size = 2 * slot + 2 * SECTOR
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if os.fstat(self._file).st_size != self.size:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, bytes([ERASED]) * self.size, 0)

    def close(self):
        os.close(self._file)

    def read(self, at, size):
        return os.pread(self._file, size, at)

    def erase(self, at):
        assert at % SECTOR == 0
        self._do(at, bytes([ERASED]) * SECTOR)

    def write(self, at, data):
        for start in range(0, len(data), PAGE):
            page = data[start : start + PAGE]
            before = self.read(at + start, len(page))
            assert before in (bytes([ERASED]) * len(page), page), f"0x{at + start:x} is written without being erased"
            self._do(at + start, page)

    def copy(self, source, target):
        """Erase a sector and fill it from another."""
        self.erase(target)
        self.write(target, self.read(source, SECTOR))

    def _do(self, at, data):
        self.operations += 1
        if self.operations == self.cut:
            os.pwrite(self._file, data[: len(data) // 2], at)
            os.kill(os.getpid(), signal.SIGKILL)
        os.pwrite(self._file, data, at)
