"""NVML's total energy counter: millijoules of one NVIDIA graphics card since its driver was loaded."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from profiles.errors import DataError, EdgewrightError
from profiles.gpu_choice import the_card
from profiles.meters.base import EnergyReading, Resolution
from profiles.meters.counter import Clock, CounterMeter
from profiles.nvml import Nvml

#: Seconds between updates: 20 to 100 ms are reported for recent cards
#: (PETSc manual, PetscLogGpuEnergyMeter); the longest is taken.
UPDATE = 0.1
#: A card is never without power: a counter that stood still for so many updates does not count.
STUCK = 5


class NvmlMeter(CounterMeter):
    """Joules of one graphics card, its memory included.

    Args:
        library: the module ``pynvml`` (package nvidia-ml-py) or one with the same functions.
        environment: variables; CUDA's say which card runs the model.
    """

    name = "nvml"
    covers = "NVML total energy counter of the graphics card, its memory included, without the host"

    def __init__(
        self,
        library: Any = None,
        environment: Mapping[str, str] = os.environ,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(max_watts=float("inf"), clock=clock)
        self._nvml = Nvml(library)
        self._environment = environment
        self._key = ""
        self._card: Any = None

    def open(self) -> None:
        """Load the library and find the card that CUDA uses.

        Raises:
            EdgewrightError: no package, no driver, no card or no permission; a MIG slice; several cards.
        """
        self._nvml.open()
        try:
            number = the_card(self._nvml, self._environment)
            self._card = self._nvml.ask("nvmlDeviceGetHandleByIndex", number)
        except EdgewrightError:
            self.close()
            raise
        self._key = f"gpu {number}"

    def close(self) -> None:
        """Let the library go."""
        self._nvml.close()

    def read(self) -> dict[str, float]:
        """Joules on the card's counter."""
        return {self._key: self._nvml.ask("nvmlDeviceGetTotalEnergyConsumption", self._card) * 1e-3}

    def moduli(self) -> Mapping[str, float | None]:
        """None: 64 bits of millijoules do not wrap; going backwards means that the driver was reloaded."""
        return {self._key: None}

    def stop(self) -> EnergyReading:
        """Read the counter a last time.

        Raises:
            DataError: the counter was reset, or stood still.
            EdgewrightError: the driver stopped answering.
        """
        reading = super().stop()
        if not reading.joules and reading.seconds > STUCK * UPDATE:
            raise DataError(
                "wanted the energy counter of the graphics card to count",
                seen=f"no change within {reading.seconds:.2f} s",
                next_step='update NVIDIA\'s driver, or sample the power instead: [power] meter = "nvml-power"',
            )
        return reading

    @property
    def resolution(self) -> Resolution:
        """One millijoule, updated up to 100 ms late."""
        return Resolution(1e-3, "J", UPDATE)
