"""A stand-in for MCUboot on a board: it decides as MCUboot's documentation says (docs/design.md: swap with scratch).

Written from the documentation, for tests; no line of it is MCUboot's. The trailer lies where MCUboot's does. How far a
swap has come stands in a status sector of its own, where MCUboot has it in the trailers. imgtool checks signatures.
"""

import contextlib
import functools
import io
import struct
import tempfile
from pathlib import Path

from fleet_flash_stand_in import SECTOR
from imgtool import keys
from imgtool.image import TLV_VALUES, Image
from smpclient.mcuboot import ImageInfo, MCUBootImageError, TLVNotFound

MAGIC = bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")
IMAGE_OK, COPY_DONE = 24, 32  # bytes from the slot's end
SET = 0x01
NONE, TEST, PERM, REVERT = "none", "test", "perm", "revert"
_KINDS = (NONE, TEST, PERM, REVERT)
_BEGUN = b"SW"


class ImageRefused(Exception):
    """The bootloader does not start this image."""


@functools.cache
def _key(path):
    return keys.load(str(path))


@functools.lru_cache(16)
def _info(content):
    """Of the same bytes always the same, and asked for at every boot and every SMP request."""
    with _file(content) as path, contextlib.suppress(MCUBootImageError, struct.error, ValueError):
        return ImageInfo.load_file(path)
    return None


@functools.lru_cache(16)
def _verdict(content, key):
    """What imgtool says of hash and signature, in a word."""
    with _file(content) as path, contextlib.redirect_stdout(io.StringIO()):
        try:
            return Image.verify(path, key)[0].name.lower()
        except struct.error:
            return "cut off"


@contextlib.contextmanager
def _file(content):
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "slot.bin")
        path.write_bytes(content)
        yield str(path)


class BootloaderStandIn:
    """Two slots, the key that it was built with, and the device class that it runs on."""

    def __init__(self, flash, key: Path, board: bytes):
        self.flash, self.key, self.board = flash, _key(key), board

    # trailers

    def flag(self, slot, where):
        return self.flash.read(slot.stop - where, 1)[0] == SET

    def good(self, slot):
        return self.flash.read(slot.stop - 16, 16) == MAGIC

    def set_flag(self, slot, where):
        if not self.flag(slot, where):
            self.flash.write(slot.stop - where, bytes([SET]))

    def set_pending(self, permanent):
        """What an application's ``boot_set_pending`` does; false where the trailer was corrupt: it erases the slot."""
        slot = self.flash.secondary
        if not self.good(slot) and self.flash.read(slot.stop - 16, 16) != bytes([0xFF]) * 16:
            self._wipe(slot)
            return False
        if permanent:
            self.set_flag(slot, IMAGE_OK)
        if not self.good(slot):
            self.flash.write(slot.stop - 16, MAGIC)
        return True

    def swap_type(self):
        """The tables of docs/design.md, in their order."""
        one, two = self.flash.primary, self.flash.secondary
        if self.good(two):
            return PERM if self.flag(two, IMAGE_OK) else TEST
        if self.good(one) and self.flag(one, COPY_DONE) and not self.flag(one, IMAGE_OK):
            return REVERT
        return NONE

    # images

    def info(self, slot):
        """Header and TLVs of what lies in a slot; None for nothing that looks like an image."""
        return _info(self.flash.read(slot.start, self.flash.slot))

    def check(self, slot):
        """Raise unless hash, signature and device class are right."""
        info = self.info(slot)
        if info is None:
            raise ImageRefused("no image")
        if (verdict := _verdict(self.flash.read(slot.start, self.flash.slot), self.key)) != "ok":
            raise ImageRefused(verdict)
        try:
            board = info.get_tlv(TLV_VALUES["UUID_CID"]).value
        except TLVNotFound as error:
            raise ImageRefused("no device class") from error
        if board != self.board:
            raise ImageRefused("another device class")

    def version(self, slot):
        info = self.info(slot)
        version = info.header.ver if info else None
        return (version.major, version.minor, version.revision) if version else (0, 0, 0)

    # booting

    def boot(self):
        """Swap if that is due, and return why the primary slot may not run, or an empty string."""
        if self._begun() is None:
            self._begin()
        if self._begun() is not None:
            self._swap()
        try:
            self.check(self.flash.primary)
        except ImageRefused as error:
            return str(error)
        return ""

    def _begin(self):
        kind = self.swap_type()
        if kind == NONE:
            return
        try:
            self.check(self.flash.secondary)
            if kind != REVERT and self.version(self.flash.secondary) < self.version(self.flash.primary):
                raise ImageRefused("older than what runs")  # MCUBOOT_DOWNGRADE_PREVENTION
        except ImageRefused:
            self._wipe(self.flash.secondary)
            if kind == REVERT:
                self.set_flag(self.flash.primary, IMAGE_OK)
            return
        self.flash.erase(self.flash.status)
        self.flash.write(self.flash.status, _BEGUN + bytes([_KINDS.index(kind), 0x55]))

    def _begun(self):
        """The kind of the swap that is underway."""
        head = self.flash.read(self.flash.status, 4)
        return _KINDS[head[2]] if head[:2] == _BEGUN and head[3] == 0x55 else None

    def _swap(self):
        flash, kind = self.flash, self._begun()
        sectors = flash.slot // SECTOR - 1  # the last one is the trailer's
        for number in range(3 * sectors):
            if flash.read(flash.status + 16 + number, 1)[0] == SET:
                continue
            one, two = (slot.start + number // 3 * SECTOR for slot in (flash.primary, flash.secondary))
            flash.copy(*((one, flash.scratch), (two, one), (flash.scratch, two))[number % 3])
            flash.write(flash.status + 16 + number, bytes([SET]))
        flash.erase(flash.secondary.stop - SECTOR)
        flash.erase(flash.primary.stop - SECTOR)
        if kind != TEST:
            flash.write(flash.primary.stop - IMAGE_OK, bytes([SET]))
        flash.write(flash.primary.stop - COPY_DONE, bytes([SET]))
        flash.write(flash.primary.stop - 16, MAGIC)
        flash.erase(flash.status)

    def _wipe(self, slot):
        for at in range(slot.start, slot.stop, SECTOR):
            self.flash.erase(at)
