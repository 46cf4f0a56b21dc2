"""QEMU's command line for a device, and the running emulator as a wire.

Two lines lead to the firmware. ``uart`` is the emulated serial port, as on a board: some 20 us for each byte that
goes in. ``fast`` hands over many bytes at a time through semihosting (``kernels/cortex_m/firmware/ports/mps2.c``);
what firmware computes is the same.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from profiles.device import Device
from profiles.errors import ConfigError, MissingToolError, ModelError
from targets.execute import crash, run_program, spawn
from targets.processes import Conversation, Leash
from targets.tflite_micro.firmware.elf import read_elf

PROGRAM = "qemu-system-arm"
Line = Literal["fast", "uart"]
#: Seconds for QEMU to end, so that plugins can write what they counted.
_FAREWELL = 10.0
_LINE_SYMBOL, _FAST = "ew_port_line", int.from_bytes(b"FAST", "little")


def program() -> str:
    """Where QEMU is.

    Raises:
        MissingToolError: it is not installed.
    """
    path = shutil.which(PROGRAM)
    if path is None:
        raise MissingToolError(
            f"wanted {PROGRAM} to run firmware",
            seen="it is not installed",
            next_step="run: sudo apt-get install qemu-system-arm",
        )
    return path


def version() -> str:
    """The emulator in words, as ``QEMU emulator version 7.2.22``.

    Raises:
        MissingToolError: it is not installed.
    """
    return _version(program())


@functools.cache
def _version(path: str) -> str:
    return run_program([path, "--version"], timeout=60).stdout.partition("\n")[0].partition(" (")[0]


def argv(device: Device, elf: Path, *, line: Line = "fast", icount: bool = True, plugin: str = "") -> list[str]:
    """The command line: the firmware's line on standard input and output, no display, semihosting for the end.

    Raises:
        MissingToolError: QEMU is not installed.
        ConfigError: the profile names no machine.
        ModelError: the file is not our firmware.
    """
    machine = device.parameters.get("qemu_machine")
    if not isinstance(machine, str):
        raise ConfigError(
            f"the profile of {device.name} needs the parameter 'qemu_machine'",
            seen=repr(machine),
            allowed=f"a name from {PROGRAM} -machine help",
        )
    words = [program(), "-nodefaults", "-machine", machine, "-display", "none", "-monitor", "none"]
    words += ["-semihosting-config", "enable=on,target=native"]
    words += _fast_line(elf) if line == "fast" else ["-chardev", "stdio,id=uart,signal=off", "-serial", "chardev:uart"]
    words += ["-icount", "shift=0"] if icount else []
    words += ["-plugin", plugin] if plugin else []
    return [*words, "-kernel", str(elf)]


def _fast_line(elf: Path) -> list[str]:
    """Have the word written that the firmware's port looks for."""
    try:
        address = read_elf(elf).address(_LINE_SYMBOL)
    except KeyError as error:
        raise ModelError(f"{elf.name} is no firmware for an emulator", seen=f"no symbol {_LINE_SYMBOL}") from error
    return ["-device", f"loader,addr={address:#x},data={_FAST:#x},data-len=4"]


class EmulatorWire:
    """The line to the firmware. Nothing is lost: QEMU reads bytes when the firmware has room for them."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk

    def read(self, timeout: float) -> bytes:
        """See :class:`targets.tflite_micro.emulate.protocol.Wire`.

        Raises:
            ToolCrashError: QEMU has ended.
        """
        with self._crash_told():
            return self._talk.read(timeout)

    def write(self, data: bytes, timeout: float) -> int:
        """See :class:`targets.tflite_micro.emulate.protocol.Wire`.

        Raises:
            ToolCrashError: QEMU has ended.
        """
        with self._crash_told():
            return self._talk.write(data, timeout)

    @contextlib.contextmanager
    def _crash_told(self) -> Iterator[None]:
        try:
            yield
        except EOFError as error:
            status, words = self._talk.last_words()
            raise crash(PROGRAM, status, words) from error


@contextlib.contextmanager
def started(argv: Sequence[str], line: Line, leash: Leash | None = None) -> Iterator[EmulatorWire]:
    """Run QEMU while inside.

    Raises:
        MissingToolError: it is not installed.
    """
    with spawn(argv, leash=leash) as talk:
        yield EmulatorWire(talk)
        if line == "fast":
            talk.hang_up(_FAREWELL)
        else:
            talk.ask_to_end(_FAREWELL)
