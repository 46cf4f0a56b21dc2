"""The INA3221 power monitors on NVIDIA Jetson modules, through the kernel's hwmon files.

Layout: ``/sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon*/`` with ``inN_label``, ``inN_input`` in mV,
``currN_input`` in mA and ``shuntN_resistor`` in µΩ for channels 1 to 3 (kernel document
``hwmon/ina3221``). Channel 7 is a sum of shunt voltages and no rail.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path

from profiles.errors import ConfigError, MissingToolError
from profiles.meters.base import Resolution, read_number, read_text
from profiles.meters.sampled import Clock, SampledMeter
from profiles.suggest import did_you_mean

#: The chip's steps in volts: across the shunt, and of the bus (TI SBOS576, "Electrical Characteristics").
SHUNT_STEP = 40e-6
BUS_STEP = 8e-3
CHANNELS = (1, 2, 3)


@dataclasses.dataclass(frozen=True)
class Channel:
    """One of the three inputs of a chip."""

    folder: Path
    number: int

    def volts(self) -> float:
        """Of the bus."""
        return read_number(self.folder / f"in{self.number}_input") * 1e-3

    def amperes(self) -> float:
        """Through the shunt."""
        return read_number(self.folder / f"curr{self.number}_input") * 1e-3

    def step(self) -> float:
        """The smallest step of the power in watts at the present voltage and current."""
        shunt = read_number(self.folder / f"shunt{self.number}_resistor") * 1e-6
        return math.hypot(self.volts() * SHUNT_STEP / shunt, self.amperes() * BUS_STEP)


def find_channels(root: Path) -> dict[str, Channel]:
    """All labelled channels by label; unconnected ones (``NC``) are left out.

    Raises:
        MissingToolError: no INA3221 here.
    """
    pattern = "sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon*"
    folders = sorted(root.glob(pattern))
    found = {}
    for channel in (Channel(folder, number) for folder in folders for number in CHANNELS):
        path = channel.folder / f"in{channel.number}_label"
        label = read_text(path) if path.exists() else ""
        if label and label != "NC":
            found[label] = channel
    if not found:
        seen = "no labelled channel" if folders else "no such chip"
        raise MissingToolError(f"wanted INA3221 power monitors in {root / pattern}", seen=seen)
    return found


class Ina3221Meter(SampledMeter):
    """Watts on the named rails together.

    Args:
        rails: labels that count; no two may lie behind each other, or power counts twice.
        root: of the file system, so that a recorded tree can be read.
    """

    name = "ina3221"

    def __init__(
        self, rails: Sequence[str], root: Path = Path("/"), *, interval: float = 0.02, clock: Clock = time.monotonic
    ) -> None:
        super().__init__(interval=interval, clock=clock)
        self._rails = tuple(rails)
        self._root = root
        self._channels: dict[str, Channel] = {}
        self._step: float | None = None
        self.covers = f"INA3221 rails {' + '.join(self._rails)}, without the sensor's own gain error"

    def open(self) -> None:
        """Find the rails.

        Raises:
            MissingToolError: no INA3221 here.
            ConfigError: no rails named, or one that is not there; names those seen.
        """
        found = find_channels(self._root)
        missing = [rail for rail in self._rails if rail not in found]
        if missing or not self._rails:
            raise ConfigError(
                f"wanted the power rail '{missing[0]}'"
                if missing
                else "wanted the names of the power rails that count",
                seen=", ".join(found),
                next_step=(did_you_mean(missing[0], found) if missing else "")
                or "name the rails to add up as [power] rails in the device profile",
            )
        self._channels = {rail: found[rail] for rail in self._rails}
        self._step = math.hypot(*(channel.step() for channel in self._channels.values()))

    def watts(self) -> dict[str, float]:
        """Volts times amperes of each rail."""
        return {rail: channel.volts() * channel.amperes() for rail, channel in self._channels.items()}

    @property
    def resolution(self) -> Resolution:
        """The chip's steps at the voltages and currents seen last on opening, in quadrature over the rails."""
        if self._step is None:
            self.open()
        return Resolution(self._step or 0.0, "W", self.interval)
