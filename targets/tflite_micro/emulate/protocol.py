"""The host's half of the protocol of ``kernels/cortex_m/firmware/main.c``, where frames and commands are described."""

from __future__ import annotations

import binascii
import dataclasses
import enum
import itertools
import struct
import time
from typing import Protocol

from profiles.errors import UnreachableError, VerificationError
from targets.tflite_micro.emulate.faults import fault

VERSION = 1
SYNC = b"EW"
_HEADER = struct.Struct("<2sBBI")
#: No answer is longer, in bytes of payload; what says so is not a header.
_LONGEST = 1 << 24


class Code(enum.IntEnum):
    """Commands, and what answers them when something went wrong."""

    INFO = 1
    INIT = 2
    RUN = 3
    LAYERS = 4
    STACK = 5
    BAD_CRC = 0xE0
    BAD_LENGTH = 0xE1
    BAD_COMMAND = 0xE2
    FAULT = 0xE3


class Wire(Protocol):
    """Bytes to and from a device."""

    def read(self, timeout: float) -> bytes:
        """What is there, as soon as there is something; b"" when nothing came in time.

        Raises:
            UnreachableError, ToolCrashError: the other side is gone.
        """
        ...

    def write(self, data: bytes, timeout: float) -> int:
        """Send as much as is taken in time, and say how much that was."""
        ...


@dataclasses.dataclass(frozen=True)
class Frame:
    """One frame; ``code`` may be none of :class:`Code`."""

    code: int
    tag: int
    payload: bytes

    def encode(self) -> bytes:
        """As it is sent."""
        body = struct.pack("<BBI", self.code, self.tag, len(self.payload)) + self.payload
        return SYNC + body + struct.pack("<H", crc(body))


def crc(data: bytes | bytearray) -> int:
    """CRC-16/IBM-3740: polynomial 0x1021, start 0xFFFF, not reflected."""
    return binascii.crc_hqx(data, 0xFFFF)


class Parser:
    """Finds frames in a stream of bytes; what is none is skipped and counted."""

    def __init__(self, longest: int = _LONGEST) -> None:
        self._data = bytearray()
        self._longest = longest
        self.skipped = 0

    def feed(self, data: bytes) -> None:
        """More of the stream."""
        self._data += data

    def next(self) -> Frame | None:
        """The next frame that is complete and right, or None until more has come."""
        while (start := self._find()) is not None:
            self._skip(start)
            if len(self._data) < _HEADER.size:
                return None
            _, code, tag, length = _HEADER.unpack_from(self._data)
            end = _HEADER.size + length
            if length > self._longest:
                self._skip(1)
            elif len(self._data) < end + 2:
                return None
            elif crc(self._data[2:end]) != struct.unpack_from("<H", self._data, end)[0]:
                self._skip(1)
            else:
                payload = bytes(self._data[_HEADER.size : end])
                del self._data[: end + 2]
                return Frame(code, tag, payload)
        return None

    def _find(self) -> int | None:
        """Where the next frame may begin."""
        at = self._data.find(SYNC)
        if at < 0:
            self._skip(len(self._data) - self._data.endswith(SYNC[:1]))
            return None
        return at

    def _skip(self, count: int) -> None:
        del self._data[:count]
        self.skipped += count


class Peer:
    """Asks a device; an answer belongs to the request with the same code and tag.

    ``longest`` is the most payload that the device can answer with, in bytes, once that is known.
    """

    def __init__(self, wire: Wire, name: str) -> None:
        self.wire, self.name, self.longest = wire, name, _LONGEST
        self._parser = Parser()
        self._tags = itertools.cycle(range(1, 256))

    def ask(self, code: Code, payload: bytes = b"", *, timeout: float, refusals: bool = True) -> bytes:
        """Send a command and wait for its answer.

        Args:
            code, payload: of the command.
            timeout: in seconds.
            refusals: whether a refusal with our tag is one of ours; after noise it may be one of noise.

        Raises:
            UnreachableError: no answer in time.
            VerificationError: the device did not take the request.
            ToolCrashError: it reported a fault, or its emulator died.
        """
        frame = Frame(code, next(self._tags), payload)
        data, end = frame.encode(), time.monotonic() + timeout
        sent = self.wire.write(data, timeout)
        if sent < len(data):
            raise self._silent(timeout, f"it took {sent} of {len(data)} bytes of {code.name}")
        while (answer := self._next(end)) is not None:
            if answer.tag == frame.tag and answer.code == code:
                return answer.payload
            if answer.tag == frame.tag and refusals:
                raise VerificationError(f"{self.name} did not take {code.name}", seen=_words(answer.code))
        raise self._silent(timeout, f"no answer to {code.name}")

    def _next(self, end: float) -> Frame | None:
        """The next frame until ``end``, or None.

        Raises:
            ToolCrashError: the device reports a fault.
        """
        while (frame := self._parser.next()) is None:
            left = end - time.monotonic()
            data = self.wire.read(left) if left > 0 else b""
            if not data:
                return None
            self._parser.feed(data)
        if frame.code == Code.FAULT:
            raise fault(frame.payload, self.name)
        return frame

    def resync(self, longest: int, *, timeout: float) -> bytes:
        """Get a device out of whatever it is waiting for, and return its answer to INFO.

        Args:
            longest: the largest number of payload bytes that it may be waiting for.
            timeout: in seconds, in total.

        Raises:
            UnreachableError: it does not answer.
        """
        self._parser = Parser(self.longest)  # half an answer is not waited for either
        self.wire.write(bytes(longest + 2), timeout / 2)
        return self.ask(Code.INFO, timeout=timeout / 2, refusals=False)

    def _silent(self, timeout: float, seen: str) -> UnreachableError:
        return UnreachableError(
            f"{self.name} does not answer",
            seen=seen + (f", and {self._parser.skipped} bytes that are no answer" if self._parser.skipped else ""),
            allowed=f"{timeout:g} s",
            next_step="check port, baud rate and reset of the board, or give it more time",
        )


def _words(code: int) -> str:
    return Code(code).name.replace("_", " ").lower() if code in set(Code) else f"the unknown code {code}"
