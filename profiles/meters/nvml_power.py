"""The power sensor of one NVIDIA graphics card, sampled: a second way to its energy beside the counter.

The driver shows two figures: the power of the moment (NVML field ``POWER_INSTANT``) and an average over one second
(``POWER_AVERAGE``, and ``nvmlDeviceGetPowerUsage`` from Ampere on, except for GA100; NVML API reference). The first is
taken where there is one. The sensor itself may look at only a part of the time, on the A100 and H100 at a quarter of it
(arXiv 2312.02741), so that work in bursts can be misjudged; steady work is not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from profiles.errors import EdgewrightError, UnreachableError
from profiles.gpu_choice import the_card
from profiles.meters.base import EnergyReading, Resolution
from profiles.meters.sampled import Clock, SampledMeter
from profiles.nvml import Nvml

#: Watts: the driver shows whole milliwatts.
STEP = 1e-3
#: Seconds that a figure is old at most: the longest update reported for the moment's power, and the average's length.
INSTANT_LAG = 0.1
AVERAGE_LAG = 1.0
SENSOR = "power sensor of the graphics card, its memory included, without the host"


class NvmlPowerMeter(SampledMeter):
    """Watts of one graphics card.

    Args:
        library: the module ``pynvml`` (package nvidia-ml-py) or one with the same functions.
        environment: variables; CUDA's say which card runs the model.
    """

    name = "nvml-power"

    def __init__(
        self,
        library: Any = None,
        environment: Mapping[str, str] = os.environ,
        *,
        interval: float = 0.05,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(interval=interval, clock=clock)
        self._nvml = Nvml(library)
        self._environment = environment
        self._open = False
        self._key = ""
        self._card: Any = None
        self._instant = False
        self.covers = f"NVML {SENSOR}"

    def open(self) -> None:
        """Load the library, find the card that CUDA uses, and which figure it shows.

        Raises:
            EdgewrightError: no package, no driver, no card or no permission; a MIG slice; several cards.
        """
        self._close()
        self._nvml.open()
        self._open = True
        try:
            number = the_card(self._nvml, self._environment)
            self._card, self._key = self._nvml.ask("nvmlDeviceGetHandleByIndex", number), f"gpu {number}"
            self._instant = self._instant_milliwatts() is not None
            self._milliwatts()
        except EdgewrightError:
            self._close()
            raise
        figure = "power of the moment" if self._instant else "power averaged over up to one second"
        self.covers = f"NVML {SENSOR}, {figure}"

    def available(self) -> str:
        """Empty when the sensor can be read, else why not."""
        why = super().available()
        self._close()
        return why

    def start(self) -> None:
        """Take the first sample and begin to take more."""
        try:
            super().start()
        except EdgewrightError:
            if self._thread is None:
                self._close()
            raise

    def stop(self) -> EnergyReading:
        """Take the last sample and integrate.

        Raises:
            EdgewrightError: the driver stopped answering in between.
        """
        try:
            return super().stop()
        finally:
            self._close()

    def watts(self) -> dict[str, float]:
        """Of the card."""
        return {self._key: self._milliwatts() * 1e-3}

    @property
    def resolution(self) -> Resolution:
        """One milliwatt; the sensor's own accuracy is not told."""
        return Resolution(STEP, "W", self.interval)

    @property
    def lag(self) -> float:
        """Seconds by which a figure may be behind."""
        return INSTANT_LAG if self._instant else AVERAGE_LAG

    def _milliwatts(self) -> float:
        if not self._instant:
            return float(self._nvml.ask("nvmlDeviceGetPowerUsage", self._card))
        shown = self._instant_milliwatts()
        if shown is None:
            self._nvml.ask("nvmlDeviceGetPowerUsage", self._card)  # says why, if the card is gone
            raise UnreachableError(f"wanted the {SENSOR}", seen="it stopped to show the power of the moment")
        return float(shown)

    def _instant_milliwatts(self) -> int | None:
        field = getattr(self._nvml.library, "NVML_FI_DEV_POWER_INSTANT", None)
        values = None if field is None else self._nvml.ask_or_none("nvmlDeviceGetFieldValues", self._card, [field])
        if not values or values[0].nvmlReturn != 0:
            return None
        return int(values[0].value.uiVal)

    def _close(self) -> None:
        if self._open:
            self._nvml.close()
        self._open = False
