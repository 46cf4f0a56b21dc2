"""A conversation with running firmware: inputs in, outputs and ticks out. The same for emulators and boards."""

from __future__ import annotations

import contextlib
import dataclasses
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from profiles.device import Device
from profiles.errors import ConfigError, UnreachableError, VerificationError
from targets.processes import Leash
from targets.tflite_micro.emulate import qemu
from targets.tflite_micro.emulate.info import Info
from targets.tflite_micro.emulate.protocol import Code, Peer, Wire
from targets.tflite_micro.firmware.build import Firmware

#: Bytes of an answer to INFO or of a fault, by far.
_LONGEST_INFO = 4096
#: Payloads that a board may be waiting for when we do not know its inputs yet.
_GUESSES = (0, 64, 4096, 1 << 16, 1 << 18)


@dataclasses.dataclass(frozen=True)
class Result:
    """Outputs of one inference as raw bytes, in the model's order, and the ticks that it took."""

    outputs: tuple[bytes, ...]
    ticks: int


class Session:
    """Firmware that answers; :func:`emulate` and ``targets.tflite_micro.emulate.serial_port.board`` make one."""

    def __init__(
        self, wire: Wire, name: str, *, digest: str = "", timeout: float = 60.0, patience: float = 10.0
    ) -> None:
        """Shake hands.

        Args:
            wire: to the device.
            name: of the device, for errors.
            digest: of the firmware that must be running; "" for any.
            timeout: seconds for one inference.
            patience: seconds for everything else, and for the device to start.

        Raises:
            UnreachableError: it does not answer.
            VerificationError: other firmware is running.
        """
        self.name, self.timeout, self.patience = name, timeout, patience
        self._peer, self._lost = Peer(wire, name), False
        self.info = self._greet()
        self._peer.longest = 4 + max(sum(self.info.outputs), 4 * self.info.layers, _LONGEST_INFO)
        if digest and digest != self.info.digest:
            raise VerificationError(
                f"{name} runs other firmware",
                seen=self.info.digest,
                allowed=digest,
                next_step="flash firmware.bin again",
            )

    def _greet(self) -> Info:
        """Ask until it answers: a board may still be starting, or be waiting for the rest of an old request."""
        end = time.monotonic() + self.patience
        for attempt, guess in enumerate(_GUESSES):
            left = end - time.monotonic()
            last = attempt == len(_GUESSES) - 1
            try:
                answer = self._peer.resync(guess, timeout=left if last else left / (len(_GUESSES) - attempt))
                return Info.decode(answer, self.name)
            except UnreachableError:
                if last:
                    raise
        raise AssertionError

    def run(self, inputs: Sequence[bytes]) -> Result:
        """One inference.

        Args:
            inputs: raw bytes of each input, in the model's order.

        Raises:
            ConfigError: wrong sizes.
            UnreachableError, VerificationError, ToolCrashError: see :meth:`Peer.ask`.
        """
        answer = self._ask(Code.RUN, self._joined(inputs), self.timeout)
        self._check(answer, 4 + sum(self.info.outputs), "RUN")
        (ticks,) = struct.unpack_from("<I", answer)
        outputs, at = [], 4
        for size in self.info.outputs:
            outputs.append(answer[at : at + size])
            at += size
        return Result(tuple(outputs), ticks)

    def layers(self, inputs: Sequence[bytes]) -> tuple[int, ...]:
        """One inference, layer by layer: the ticks of each."""
        answer = self._ask(Code.LAYERS, self._joined(inputs), self.timeout)
        self._check(answer, 4 * self.info.layers, "LAYERS")
        return struct.unpack(f"<{self.info.layers}I", answer)

    def reset(self) -> int:
        """Forget what a streaming model has heard; returns the ticks that ``edgewright_model_init`` took."""
        answer = self._ask(Code.INIT, b"", self.patience)
        self._check(answer, 4, "INIT")
        return int.from_bytes(answer, "little")

    def stack(self) -> int:
        """The most bytes of the stack that were ever in use since the start."""
        answer = self._ask(Code.STACK, b"", self.patience)
        self._check(answer, 4, "STACK")
        return int.from_bytes(answer, "little")

    def _joined(self, inputs: Sequence[bytes]) -> bytes:
        seen = tuple(len(data) for data in inputs)
        if seen != self.info.inputs:
            raise ConfigError(
                f"{self.name} wants inputs of other sizes", seen=f"{seen} bytes", allowed=f"{self.info.inputs}"
            )
        return b"".join(inputs)

    def _ask(self, code: Code, payload: bytes, timeout: float) -> bytes:
        """Ask; when the last question was not answered, get the line into step first."""
        if self._lost:
            self._peer.resync(sum(self.info.inputs), timeout=self.patience)
        self._lost = True
        answer = self._peer.ask(code, payload, timeout=timeout)
        self._lost = False
        return answer

    def _check(self, answer: bytes, size: int, what: str) -> None:
        if len(answer) != size:
            raise VerificationError(
                f"{self.name} gives an answer of another size to {what}",
                seen=f"{len(answer)} bytes",
                allowed=f"{size} bytes",
            )


@contextlib.contextmanager
def emulate(
    firmware: Firmware | Path,
    device: Device,
    *,
    line: qemu.Line = "fast",
    icount: bool = True,
    plugin: str = "",
    timeout: float = 60.0,
    leash: Leash | None = None,
) -> Iterator[Session]:
    """Start firmware under QEMU and talk to it until the context is left.

    Args:
        firmware: a build, or an ELF file.
        device: gives the emulated machine (``parameters.qemu_machine``).
        line: how bytes get to the firmware, see :mod:`targets.tflite_micro.emulate.qemu`.
        icount: let one instruction take one virtual nanosecond, so that ticks count instructions.
        plugin: the value of QEMU's ``-plugin``, see :mod:`targets.tflite_micro.emulate.counts`.
        timeout: seconds for one inference.
        leash: ends the emulator when it is cut.

    Raises:
        MissingToolError: QEMU is not installed.
        ToolCrashError: it died, or the firmware faulted.
        UnreachableError: the firmware does not answer.
    """
    elf = firmware if isinstance(firmware, Path) else firmware.elf
    digest = "" if isinstance(firmware, Path) else firmware.digest
    argv = qemu.argv(device, elf, line=line, icount=icount, plugin=plugin)
    with qemu.started(argv, line, leash) as wire:
        yield Session(wire, f"{device.name} (QEMU)", digest=digest, timeout=timeout)
