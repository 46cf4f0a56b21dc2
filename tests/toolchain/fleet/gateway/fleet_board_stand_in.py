"""A stand-in for a board, as a process: ``python fleet_board_stand_in.py FOLDER`` with ``FOLDER/board.json``.

It is the flash file, the stand-ins of bootloader and SMP server, and QEMU, which runs the real firmware of the
primary slot. Two pseudo-terminals are its serial lines, ``FOLDER/smp`` and ``FOLDER/line``. ``FOLDER/log`` says what
happened.
"""

import contextlib
import json
import os
import select
import sys
import tty
import uuid
from pathlib import Path

from fleet_flash_stand_in import FlashStandIn
from fleet_mcuboot_stand_in import BootloaderStandIn
from fleet_smp_stand_in import SmpStandIn

from profiles.device import load_device
from targets.execute import spawn

#: Where the primary slot lies in the emulated machine; below it lies what stands for the bootloader's code.
SLOT_BASE = 0x8000


class Terminal:
    """One serial line: a pseudo-terminal that stays open whether or not somebody listens."""

    def __init__(self, path):
        self.fd, self._kept = os.openpty()
        tty.setraw(self._kept)
        os.set_blocking(self.fd, False)
        path.unlink(missing_ok=True)
        path.symlink_to(os.ttyname(self._kept))

    def read(self):
        with contextlib.suppress(BlockingIOError):
            return os.read(self.fd, 1 << 14)
        return b""

    def write(self, data):
        while data:
            select.select([], [self.fd], [], 1.0)
            try:
                data = data[os.write(self.fd, data) :]
            except BlockingIOError:
                return  # nobody reads: the bytes are lost, as on a line


class Board:
    def __init__(self, folder):
        self.folder, self.config = folder, json.loads((folder / "board.json").read_text())
        flash = FlashStandIn(folder / "flash.bin", self.config["slot"], self.config.get("cut", 0))
        vendor = uuid.uuid5(uuid.NAMESPACE_DNS, self.config["vendor"])
        board = uuid.uuid5(vendor, self.config["board"]).bytes
        self.boot = BootloaderStandIn(flash, Path(self.config["key"]), board)
        self.smp, self.line = Terminal(folder / "smp"), Terminal(folder / "line")
        self.server = SmpStandIn(self.boot, self.config["board"])
        self.operations = flash

    def log(self, text):
        with (self.folder / "log").open("a") as stream:
            stream.write(text + "\n")

    def qemu(self):
        """The emulator's command line: vectors of the image at 0, for the core's reset; the slot behind them."""
        flash = self.boot.flash
        size = self.boot.info(flash.primary).header.hdr_size
        vectors = flash.read(flash.primary.start + size, 8)
        memory = vectors + bytes([0xFF]) * (SLOT_BASE - 8) + flash.read(flash.primary.start, flash.slot)
        image = self.folder / "memory.bin"
        image.write_bytes(memory)
        machine = load_device(self.config["board"]).parameters["qemu_machine"]
        return [
            "qemu-system-arm", "-nodefaults", "-machine", machine, "-display", "none", "-monitor", "none",
            "-semihosting-config", "enable=on,target=native", "-chardev", "stdio,id=uart,signal=off",
            "-serial", "chardev:uart", "-icount", "shift=0", "-kernel", str(image),
        ]  # fmt: skip

    def serve(self):
        """Boot, and serve until a reset."""
        before = self.operations.operations
        trouble = self.boot.boot()
        self.log(f"boot {trouble or 'ok'} after {before} to {self.operations.operations} operations")
        self.server = SmpStandIn(self.boot, self.config["board"])
        if trouble:
            self._talk(None)
        else:
            with spawn(self.qemu()) as firmware:
                (self.folder / "ready").write_text("")
                self._talk(firmware)

    def _talk(self, firmware):
        output = [firmware.process.stdout.fileno()] if firmware else []
        while not self.server.reset:
            ready, _, _ = select.select([self.smp.fd, self.line.fd, *output], [], [], 1.0)
            if self.smp.fd in ready:
                self.smp.write(self.server.feed(self.smp.read()))
            if self.line.fd in ready:
                data = self.line.read()
                if firmware:
                    firmware.write(data, 5.0)
            if output and output[0] in ready:
                try:
                    self.line.write(firmware.read(0.0))
                except EOFError:  # the firmware has ended, as it does when it faults
                    self.log("the firmware has ended")
                    output = []
        self.log(f"reset after {self.operations.operations} operations")


def main(folder):
    board = Board(Path(folder))
    while True:
        board.serve()


if __name__ == "__main__":
    main(sys.argv[1])
