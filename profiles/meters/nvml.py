"""NVML's total energy counter: millijoules of one NVIDIA graphics card since its driver was loaded."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from profiles.errors import EdgewrightError, MissingToolError, UnreachableError, UnsupportedError
from profiles.meters.base import Resolution
from profiles.meters.counter import Clock, CounterMeter

#: Seconds between updates: 20 to 100 ms are reported for recent cards
#: (PETSc manual, PetscLogGpuEnergyMeter); the longest is taken.
UPDATE = 0.1

_DRIVER = "install NVIDIA's driver, until nvidia-smi lists the card"
#: NVML return code (nvml.h, nvmlReturn_t) to error class, what it means here, and the next step.
_MEANINGS: dict[int, tuple[type[EdgewrightError], str, str]] = {
    2: (MissingToolError, "no card of that number", "run: nvidia-smi -L"),
    3: (UnsupportedError, "the card has no energy counter", "Volta or newer has one; a virtual GPU or MIG slice none"),
    4: (MissingToolError, "no permission", "run as a user who may open /dev/nvidiactl and /dev/nvidia0"),
    6: (MissingToolError, "no card of that number", "run: nvidia-smi -L"),
    9: (MissingToolError, "the driver is not loaded", _DRIVER),
    12: (MissingToolError, "libnvidia-ml.so is not there: no NVIDIA driver", _DRIVER),
    13: (UnsupportedError, "the driver is too old to tell the energy", "update NVIDIA's driver"),
    15: (UnreachableError, "the card fell off the bus", "restart the machine"),
    18: (MissingToolError, "library and driver have different versions", "restart the machine after a driver update"),
}


class NvmlMeter(CounterMeter):
    """Joules of one graphics card, its memory included.

    Args:
        index: of the card, in NVML's order.
        library: the module ``pynvml`` (package nvidia-ml-py) or one with the same functions.
    """

    name = "nvml"
    covers = "NVML total energy counter of the graphics card, its memory included, without the host"

    def __init__(self, index: int = 0, library: Any = None, *, clock: Clock = time.monotonic) -> None:
        super().__init__(max_watts=float("inf"), clock=clock)
        self._index = index
        self._library = library
        self._handle: Any = None

    def open(self) -> None:
        """Load the library and find the card.

        Raises:
            MissingToolError: no package, no driver, no card or no permission.
        """
        if self._library is None:
            self._library = _pynvml()
        self._call("nvmlInit")
        try:
            self._handle = self._call("nvmlDeviceGetHandleByIndex", self._index)
        except EdgewrightError:
            self.close()
            raise

    def close(self) -> None:
        """Let the library go."""
        self._call("nvmlShutdown")

    def read(self) -> dict[str, float]:
        """Joules on the card's counter."""
        return {f"gpu {self._index}": self._call("nvmlDeviceGetTotalEnergyConsumption", self._handle) * 1e-3}

    def moduli(self) -> Mapping[str, float | None]:
        """None: 64 bits of millijoules do not wrap; going backwards means that the driver was reloaded."""
        return {f"gpu {self._index}": None}

    @property
    def resolution(self) -> Resolution:
        """One millijoule, updated up to 100 ms late."""
        return Resolution(1e-3, "J", UPDATE)

    def _call(self, function: str, *arguments: Any) -> Any:
        try:
            return getattr(self._library, function)(*arguments)
        except self._library.NVMLError as error:
            kind, seen, step = _MEANINGS.get(error.value, (UnreachableError, f"NVML says: {error}", "run: nvidia-smi"))
            raise kind("wanted the energy counter of the NVIDIA card", seen=seen, next_step=step) from error


def _pynvml() -> Any:
    try:
        import pynvml
    except ImportError as error:
        raise MissingToolError(
            "wanted NVML for Python", seen="no module pynvml", next_step="run: pip install nvidia-ml-py"
        ) from error
    return pynvml
