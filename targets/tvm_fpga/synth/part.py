"""Which chip a device profile means, and what it is asked to reach."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from profiles.errors import ConfigError
from profiles.units import parse_quantity

#: LFE5U and LFE5UM by their size, as nextpnr names them.
_ECP5 = {"12": "12k", "25": "25k", "45": "45k", "85": "85k"}
_FAMILIES = "an ECP5 (LFE5U-85F) or a Zynq-7000 (xc7z020clg400-1)"


@dataclasses.dataclass(frozen=True)
class Part:
    """A chip.

    Attributes:
        name: as its vendor spells it.
        family: ``ecp5`` or ``zynq``.
        size: what nextpnr calls it (``85k``); empty for a Zynq.
        package: of an ECP5, such as ``CABGA381``; a Zynq's is in its name.
        speed: grade of an ECP5, 6 to 8, 8 the fastest.
        clock: Hz that placement and routing aim at.
    """

    name: str
    family: str
    size: str = ""
    package: str = ""
    speed: int = 6
    clock: float = 80e6


def part_of(parameters: Mapping[str, Any]) -> Part:
    """The part that a device profile's ``[parameters]`` name: ``part``, ``package``, ``speed_grade``, ``clock_goal``.

    Raises:
        ConfigError: no part, or one that nothing here can build for.
    """
    name = str(parameters.get("part", ""))
    clock = parse_quantity(parameters.get("clock_goal", "80 MHz"), "Hz", where="[parameters] clock_goal")
    if match := re.fullmatch(r"LFE5UM?5?G?-(\d\d)F", name):
        size = _ECP5.get(match[1], "")
        speed = parameters.get("speed_grade", 6)
        if size and speed in (6, 7, 8):
            return Part(name, "ecp5", size, str(parameters.get("package", "CABGA381")), speed, clock)
    if re.fullmatch(r"xc7z0\d\d[a-z]{3}\d{3}-\d", name):
        return Part(name, "zynq", clock=clock)
    raise ConfigError("wanted a part to synthesize for", seen=repr(name), allowed=_FAMILIES)
