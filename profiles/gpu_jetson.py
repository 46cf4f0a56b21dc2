"""Read a Jetson's own GPU from the kernel's files.

Its clock is a devfreq device: ``17000000.gpu`` or ``17000000.ga10b`` on Orin, ``17000000.gv11b`` on Xavier,
``gpu-gpc-0`` on Thor, with ``cur_freq``, ``min_freq`` and ``max_freq`` in Hz (kernel ABI ``sysfs-class-devfreq``).
Over-current events are counted below the hwmon device ``soctherm_oc`` (NVIDIA's driver of Tegra234).
NVML is there on JetPack 6 and 7, but tells little more than the name.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from profiles import machine_files as files
from profiles.gpu import GpuClock, GpuState

_DEVFREQ = re.compile(r"(\d+\.)?(gpu|ga10b|gv11b|gp10b)|gpu-gpc-0")
#: Events of ``soctherm_oc`` (Jetson Linux Developer Guide, Jetson Orin, "Over-Current Throttling").
EVENTS = {"oc1": "under-voltage", "oc2": "average over-current", "oc3": "instantaneous over-current"}


def read_jetson(root: Path) -> GpuState | None:
    """The GPU of the module, or None on other machines."""
    chip = _chip(root)
    if chip is None:
        return None
    folders = sorted(path for path in (root / "sys/class/devfreq").glob("*") if _DEVFREQ.fullmatch(path.name))
    return GpuState(
        name=f"NVIDIA {chip} integrated GPU",
        integrated=True,
        clocks=tuple(_clock(folder) for folder in folders[:1]),
        governor=files.content(folders[0] / "governor") if folders else None,
        throttle_events=_events(root),
        temperature=_temperature(root),
    )


def merged(own: GpuState, told: GpuState) -> GpuState:
    """The kernel's facts, and what the driver tells beyond them."""
    missing = {
        field.name: getattr(told, field.name)
        for field in dataclasses.fields(GpuState)
        if getattr(own, field.name) in (None, (), {}, False)
    }
    return dataclasses.replace(own, **{**missing, "name": told.name, "integrated": True})


def _chip(root: Path) -> str | None:
    """The chip that the device tree names last, such as ``Tegra234``."""
    compatible = (files.device_tree(root, "compatible") or "").split("\0")
    found = [name.removeprefix("nvidia,") for name in compatible if re.fullmatch(r"nvidia,tegra\d+", name)]
    return found[-1].capitalize() if found else None


def _clock(folder: Path) -> GpuClock:
    hertz = [files.whole_number(folder / f"{name}_freq") for name in ("cur", "min", "max")]
    current, minimum, maximum = (None if value is None else float(value) for value in hertz)
    return GpuClock("graphics", current, minimum, maximum)


def _events(root: Path) -> dict[str, int]:
    found = {}
    for folder in (root / "sys/class/hwmon").glob("hwmon*"):
        if files.content(folder / "name") == "soctherm_oc":
            counts = {text: files.whole_number(folder / f"{key}_event_cnt") for key, text in EVENTS.items()}
            found.update({text: count for text, count in counts.items() if count is not None})
    return found


def _temperature(root: Path) -> float | None:
    """Of the zone ``gpu-thermal`` (``GPU-therm`` before JetPack 5); it does not answer while the GPU is off."""
    zones = files.temperatures(root)
    return next((value for name, value in zones.items() if name.lower().startswith("gpu-therm")), None)
