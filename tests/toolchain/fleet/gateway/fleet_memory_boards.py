"""A stand-in board in this process, without serial line and QEMU, for power failures at every flash operation."""

import contextlib
import uuid
from pathlib import Path

import fleet_boards as fb
from fleet_flash_stand_in import FlashStandIn
from fleet_mcuboot_stand_in import BootloaderStandIn
from fleet_smp_stand_in import BUFFER, SmpStandIn
from smp import packet
from smpclient import SMPClient
from smpclient.transport import SMPTransportDisconnected

from toolchain.fleet.gateway.image import VENDOR, read_image
from toolchain.fleet.gateway.place import Place
from toolchain.fleet.gateway.smp_line import SmpLine


class PowerCut(Exception):
    pass


class CutFlash(FlashStandIn):
    """Raises where a board would lose its power; the operation is done by half."""

    def _do(self, at, data):
        if self.operations + 1 == self.cut:
            self.cut = 0
            super()._do(at, data[: len(data) // 2])
            raise PowerCut
        super()._do(at, data)


class MemoryBoard:
    """Boots, answers SMP, and can lose its power in the flash operation with number ``cut``."""

    def __init__(self, path, image, slot):
        self.path, self.slot = path, slot
        path.unlink(missing_ok=True)
        flash = CutFlash(path, slot)
        flash.write(0, image)
        flash.close()
        self.boot = None
        self.power()

    def power(self, cut=0):
        """Power on; false when power failed while it booted."""
        if self.boot is not None:
            self.boot.flash.close()
        flash = CutFlash(self.path, self.slot, cut)
        board = uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_DNS, VENDOR), fb.BOARD).bytes
        self.boot = BootloaderStandIn(flash, fb.keys()[1], board)
        return self._boot()

    def _boot(self):
        self.server, self.alive = SmpStandIn(self.boot, fb.BOARD), False
        with contextlib.suppress(PowerCut):
            trouble = self.boot.boot()
            assert not trouble, f"the board has no firmware that may run: {trouble}"
            self.alive = True
        return self.alive

    @property
    def running(self):
        """The digest of what runs."""
        return next(each["hash"] for each in self.server.images() if each["active"])

    def answer(self, request):
        """One SMP frame."""
        if not self.alive:
            raise SMPTransportDisconnected("no power")
        try:
            answers = b"".join(self.server.feed(line) for line in packet.encode(request, line_length=128))
            if self.server.reset:
                self._boot()
        except PowerCut as error:
            self.alive = False
            raise SMPTransportDisconnected("no power") from error
        decoder = packet.decode()
        next(decoder)
        try:
            for line in answers.splitlines(keepends=True):
                decoder.send(line)
        except StopIteration as done:
            return done.value
        raise AssertionError("half an answer")


class MemoryTransport:
    """smpclient's side of it; ``through`` is given each request and the board's ``answer``, and may do as it likes."""

    mtu = max_unencoded_size = BUFFER - 4

    def __init__(self, answer, through):
        self.answer, self.through = answer, through

    async def connect(self, address, timeout_s):
        pass

    async def disconnect(self):
        pass

    def initialize(self, size):
        pass

    async def send_and_receive(self, data):
        return self.through(data, self.answer)


def line(board, through=lambda data, answer: answer(data), **words):
    """The gateway's view of a board, and where it is."""
    times = {"answer": 1.0, "boot": 0.005, "pause": 0.001, **words}
    place = Place(fb.BOARD, "serial:///memory", "serial:///memory", fb.keys()[1], **times)
    return SmpLine(SMPClient(MemoryTransport(board and board.answer, through), "memory"), place), place


def wanted(release, seed=1, **words):
    """A signed image, and what it says of itself."""
    path = Path(fb.SCRATCH.name, "wanted.bin")
    path.write_bytes(fb.signed(release, seed, **words))
    return read_image(path), path.read_bytes()
