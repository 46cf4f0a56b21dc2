"""Where a gateway's board is: two serial lines, the public key of its firmware, and how patient to be."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError
from targets.serial_address import parse_serial

_SECONDS = ("answer", "boot", "pause", "measure")


@dataclasses.dataclass(frozen=True)
class Place:
    """A board behind a cable.

    Attributes:
        board: the device profile that it is, as ``depends.board`` of a release names it.
        smp: the serial line on which the board speaks SMP (``serial:///dev/ttyACM0?baud=115200``).
        line: the serial line of the firmware's own protocol; may be the same where the board shares one.
        key: the public half of the firmware key, PEM.
        platform: what the board must call its hardware when it is asked over SMP; empty is not asked.
        answer: seconds for one answer.
        boot: seconds for a restart, with all that the bootloader has to swap.
        pause: seconds between two looks at a board that restarts.
        measure: seconds of measuring.
    """

    board: str
    smp: str
    line: str
    key: Path
    platform: str = ""
    answer: float = 5.0
    boot: float = 120.0
    pause: float = 0.5
    measure: float = 1.0

    def __post_init__(self) -> None:
        for address in (self.smp, self.line):
            parse_serial(address)
        for name in _SECONDS:
            if not 0 < getattr(self, name) <= 3600:
                raise ConfigError(
                    f"wanted a time in seconds for '{name}' of a board", seen=f"{getattr(self, name)}",
                    allowed="more than 0, 3600 at most",
                )  # fmt: skip

    def words(self) -> list[str]:
        """The arguments of ``python -m toolchain.fleet.gateway`` that say the same."""
        values = dataclasses.asdict(self)
        return [f"--{name}={value}" for name, value in values.items() if value != ""]


def from_table(table: dict[str, Any], board: str, home: Path) -> Place:
    """The table ``[gateway]`` of an agent's configuration; relative paths begin at ``home``.

    Raises:
        ConfigError: a key is unknown, missing or of the wrong type.
    """
    fields = {each.name: each for each in dataclasses.fields(Place) if each.name != "board"}
    if unknown := sorted(set(table) - set(fields)):
        raise ConfigError("[gateway] has an unknown key", seen=unknown[0][:80], allowed=", ".join(fields))
    if missing := sorted({"smp", "line", "key"} - set(table)):
        raise ConfigError(f"[gateway] lacks '{missing[0]}'", allowed=", ".join(fields))
    if not board:
        raise ConfigError("[gateway] needs the name of the board", next_step='set board = "NAME" in [provides]')
    values: dict[str, Any] = {"board": board}
    for name, value in table.items():
        kinds = (int, float) if name in _SECONDS else (str,)
        if type(value) not in kinds:
            raise ConfigError(f"[gateway]: {name} is of the wrong type", seen=repr(value)[:80])
        values[name] = home / value if name == "key" else float(value) if name in _SECONDS else value
    return Place(**values)
