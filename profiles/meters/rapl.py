"""RAPL through the kernel's powercap tree: joules of the processor packages (Intel and AMD).

Layout: ``/sys/class/powercap/intel-rapl:N`` with ``name``, ``energy_uj``, ``max_energy_range_uj``
(kernel ABI ``sysfs-class-powercap``); AMD's driver uses the same names. Zones with a second number
(``intel-rapl:0:0``) lie inside a package and would count twice, ``psys`` contains the packages. The
memory's own zone is outside of the package and is not counted.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from pathlib import Path

from profiles.errors import MissingToolError
from profiles.meters.base import Resolution, read_number, read_text
from profiles.meters.counter import Clock, CounterMeter

#: Microjoules to joules.
MICRO = 1e-6
#: The hardware's energy status is a 32-bit number of energy units (Intel SDM vol. 3B, "RAPL Interfaces").
COUNTS = 2**32
#: Seconds between updates of the counter: about one millisecond (same section).
UPDATE = 1e-3


class RaplMeter(CounterMeter):
    """Joules of all processor packages together, without memory and the rest of the machine.

    Args:
        root: of the file system, so that a recorded tree can be read.
        max_watts: the greatest power that one package can plausibly draw.
    """

    name = "rapl"
    covers = "RAPL counters of the processor packages, without memory and mainboard"

    def __init__(self, root: Path = Path("/"), *, max_watts: float = 1000.0, clock: Clock = time.monotonic) -> None:
        super().__init__(max_watts=max_watts, clock=clock)
        self._folder = root / "sys/class/powercap"
        self._zones: dict[str, Path] = {}

    def open(self) -> None:
        """Find the packages.

        Raises:
            MissingToolError: no powercap tree or no package in it.
        """
        zones = {zone: read_text(zone / "name") for zone in self._top_zones()}
        packages = {zone: label for zone, label in zones.items() if label.startswith("package")}
        if not packages:
            raise MissingToolError(
                f"wanted the RAPL counters of the processor packages in {self._folder}",
                seen=", ".join(zones.values()) or ("no intel-rapl zone" if self._folder.is_dir() else "no such folder"),
                next_step="on a physical machine run: sudo modprobe intel_rapl_msr; virtual machines have no counter",
            )
        unique = len(set(packages.values())) == len(packages)
        self._zones = {label if unique else f"{label} ({zone.name})": zone for zone, label in packages.items()}

    def close(self) -> None:
        """Nothing is held between readings."""

    def read(self) -> dict[str, float]:
        """Joules on each package's counter."""
        return {label: self._number(zone / "energy_uj") * MICRO for label, zone in self._zones.items()}

    def moduli(self) -> Mapping[str, float | None]:
        """One energy unit above ``max_energy_range_uj``, which is the greatest value shown."""
        return {label: value * MICRO * COUNTS / (COUNTS - 1) for label, value in self._ranges().items()}

    @property
    def resolution(self) -> Resolution:
        """One energy unit per package (61 µJ on most Intel, 15 µJ on AMD), in quadrature."""
        if not self._zones:
            self.open()
        units = [value * MICRO / (COUNTS - 1) for value in self._ranges().values()]
        return Resolution(math.hypot(*units), "J", UPDATE)

    def _top_zones(self) -> list[Path]:
        found = [zone for zone in self._folder.glob("intel-rapl:*") if re.fullmatch(r"intel-rapl:\d+", zone.name)]
        return sorted(found, key=lambda zone: int(zone.name.split(":")[1]))

    def _ranges(self) -> dict[str, int]:
        return {label: self._number(zone / "max_energy_range_uj") for label, zone in self._zones.items()}

    def _number(self, path: Path) -> int:
        try:
            return read_number(path)
        except MissingToolError as error:
            if error.next_step:
                command = f"run: sudo chmod a+r {self._folder}/intel-rapl:*/{{energy_uj,max_energy_range_uj}}"
                error = MissingToolError(error.wanted, seen=error.seen, next_step=f"{command} (until the next boot)")
            raise error from None
