"""Real boards: the same session as with an emulator, over a serial port.

A place is written ``serial:///dev/ttyACM0?baud=115200``. Needs pyserial.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from profiles.errors import MissingToolError, UnreachableError
from targets.serial_address import parse_serial
from targets.tflite_micro.emulate.session import Session


class PortWire:
    """A serial port as a wire."""

    def __init__(self, port: Any, name: str) -> None:
        self._port, self._name = port, name

    def read(self, timeout: float) -> bytes:
        """See :class:`targets.tflite_micro.emulate.protocol.Wire`.

        Raises:
            UnreachableError: the port is gone.
        """
        with self._told():
            self._port.timeout = timeout
            first: bytes = self._port.read(1)
            return first + self._port.read(self._port.in_waiting) if first else b""

    def write(self, data: bytes, timeout: float) -> int:
        """See :class:`targets.tflite_micro.emulate.protocol.Wire`.

        Raises:
            UnreachableError: the port is gone.
        """
        import serial

        with self._told():
            self._port.write_timeout = timeout
            try:
                return int(self._port.write(data))
            except serial.SerialTimeoutException:
                return 0

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        import serial

        try:
            yield
        except (serial.SerialException, OSError) as error:
            raise UnreachableError(
                f"lost the board at {self._name}", seen=str(error), next_step="check cable and power"
            ) from error


@contextlib.contextmanager
def board(url: str, *, digest: str = "", timeout: float = 60.0, patience: float = 10.0) -> Iterator[Session]:
    """Talk to the firmware on a board until the context is left.

    Args:
        url: see :func:`targets.serial_address.parse_serial`.
        digest: of the firmware that must be running, "" for any.
        timeout: seconds for one inference, which has to include sending its inputs.
        patience: seconds for the board to answer at first.

    Raises:
        MissingToolError: pyserial is not installed.
        ConfigError: the place is not written well.
        UnreachableError: no such port, or nobody answers.
        VerificationError: other firmware is running.
    """
    address = parse_serial(url)
    path = address.port
    with contextlib.closing(_open(path, address.baud)) as port:
        yield Session(PortWire(port, path), f"the board at {path}", digest=digest, timeout=timeout, patience=patience)


def _open(path: str, baud: int) -> Any:
    try:
        import serial
    except ImportError as error:
        raise MissingToolError(
            "wanted to talk to a board", seen="pyserial is not installed", next_step="run: pip install pyserial"
        ) from error
    try:
        return serial.Serial(path, baud, exclusive=True)
    except (serial.SerialException, OSError, ValueError) as error:
        raise UnreachableError(
            f"wanted to open {path}",
            seen=str(error),
            next_step="check that the board is plugged in, and that you may open the port (group dialout)",
        ) from error
