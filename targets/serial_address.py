"""Addresses of boards behind a cable: ``serial:///dev/ttyACM0?baud=115200``. Nothing here opens a port."""

from __future__ import annotations

import dataclasses
from urllib.parse import parse_qs, unquote, urlsplit

from profiles.errors import ConfigError

SERIAL = "serial://"
DEFAULT_BAUD = 115_200


@dataclasses.dataclass(frozen=True)
class SerialAddress:
    """``port`` as the system calls it (``/dev/ttyACM0``), ``baud`` in bits per second."""

    port: str
    baud: int = DEFAULT_BAUD


def parse_serial(text: str) -> SerialAddress:
    """The parts of an address.

    Raises:
        ConfigError: it is not of the form ``serial:///dev/PORT?baud=N``.
    """
    parts = urlsplit(text)
    query = parse_qs(parts.query, keep_blank_values=True)
    port, baud = unquote(parts.netloc + parts.path), query.get("baud", [str(DEFAULT_BAUD)])[-1]
    is_number = baud.isascii() and baud.isdigit() and 300 <= int(baud) <= 4_000_000
    if parts.scheme != "serial" or not port or not is_number or set(query) - {"baud"} or parts.fragment:
        raise ConfigError(
            "wanted the address of a board behind a cable",
            seen=repr(text),
            allowed="serial:///dev/PORT or serial:///dev/PORT?baud=N, N from 300 to 4000000",
            next_step="list the ports with: python -m serial.tools.list_ports",
        )
    return SerialAddress(port, int(baud))
