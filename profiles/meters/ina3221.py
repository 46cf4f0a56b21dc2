"""The INA3221 and INA238 power monitors on NVIDIA Jetson modules and kits, through the kernel's hwmon files.

Layout of the first: ``/sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon*/`` with ``inN_label``, ``inN_input`` in mV,
``currN_input`` in mA and ``shuntN_resistor`` in µΩ for channels 1 to 3 (kernel document
``hwmon/ina3221``). Channel 7 is a sum of shunt voltages and no rail.

Layout of the second, which measures the input of a whole Jetson Thor kit:
``/sys/bus/i2c/drivers/ina238/*/hwmon/hwmon*/`` with ``power1_input`` in µW, ``in1_input`` in mV, ``curr1_input`` in mA,
``shunt_resistor`` in µΩ (kernel document ``hwmon/ina238``) and the rail's name in ``label`` (``sysfs-class-hwmon``).
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
#: The steps of the INA238 in volts (TI SLYS025, "Electrical Characteristics": 1 LSB step size, ADCRANGE = 0).
INA238_SHUNT_STEP = 5e-6
INA238_BUS_STEP = 3.125e-3
_RAILS = "name the rails to add up as [power] rails in the device profile, or overrides = { power.rails = [...] }"


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

    def watts(self) -> float:
        """Volts times amperes."""
        return self.volts() * self.amperes()

    def step(self) -> float:
        """The smallest step of the power in watts at the present voltage and current."""
        shunt = read_number(self.folder / f"shunt{self.number}_resistor") * 1e-6
        return math.hypot(self.volts() * SHUNT_STEP / shunt, self.amperes() * BUS_STEP)


class InputChannel(Channel):
    """The one channel of an INA238, which multiplies by itself."""

    def watts(self) -> float:
        """As the chip shows it."""
        return read_number(self.folder / "power1_input") * 1e-6

    def step(self) -> float:
        """The smallest step of the power in watts at the present voltage and current."""
        shunt = read_number(self.folder / "shunt_resistor") * 1e-6
        return math.hypot(self.volts() * INA238_SHUNT_STEP / shunt, self.amperes() * INA238_BUS_STEP)


def find_channels(root: Path) -> dict[str, Channel]:
    """All labelled channels by label; unconnected ones (``NC``) are left out.

    Raises:
        MissingToolError: no INA3221 here.
    """
    pattern = "sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon*"
    folders = sorted(root.glob(pattern))
    inputs = sorted(root.glob(pattern.replace("ina3221", "ina238")))
    labelled = [(folder / f"in{n}_label", Channel(folder, n)) for folder in folders for n in CHANNELS]
    labelled += [(folder / "label", InputChannel(folder, 1)) for folder in inputs]
    labels = [(read_text(path) if path.exists() else "", channel) for path, channel in labelled]
    found = {label: channel for label, channel in labels if label and label != "NC"}
    if not found:
        seen = "no labelled channel" if folders or inputs else "no such chip"
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
                next_step="; ".join(filter(None, [did_you_mean(missing[0], found) if missing else "", _RAILS])),
            )
        self._channels = {rail: found[rail] for rail in self._rails}
        self._step = math.hypot(*(channel.step() for channel in self._channels.values()))

    def watts(self) -> dict[str, float]:
        """Of each rail."""
        return {rail: channel.watts() for rail, channel in self._channels.items()}

    @property
    def resolution(self) -> Resolution:
        """The chip's steps at the voltages and currents seen last on opening, in quadrature over the rails."""
        if self._step is None:
            self.open()
        return Resolution(self._step or 0.0, "W", self.interval)
