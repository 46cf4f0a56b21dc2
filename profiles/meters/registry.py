"""Find the energy meter of this machine: the one that the device profile names, or what is there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.device import Power
from profiles.errors import ConfigError
from profiles.meters.base import Meter
from profiles.meters.checked import CheckedMeter
from profiles.meters.csv_meter import CsvMeter
from profiles.meters.ina3221 import Ina3221Meter
from profiles.meters.nvml import NvmlMeter
from profiles.meters.nvml_power import NvmlPowerMeter
from profiles.meters.pmic import PmicMeter, Vcgencmd, vcgencmd
from profiles.meters.rapl import RaplMeter
from profiles.suggest import did_you_mean

#: What ``[power] meter`` may say.
NAMES = ("rapl", "ina3221", "pmic", "nvml", "nvml-power", "csv:PATH")
#: Probed in this order where the profile names none. A graphics card is not among them: its energy is that
#: of the inference only when the inference runs on it, which the device profile says.
PROBED = ("rapl", "ina3221", "pmic")


def find_meter(
    power: Power,
    root: Path = Path("/"),
    *,
    run: Vcgencmd = vcgencmd,
    nvml: Any = None,
    environment: Mapping[str, str] = os.environ,
) -> tuple[Meter | None, str]:
    """The meter to use, or None and why there is none.

    Args:
        power: of the device profile.
        root: of the file system, so that recorded device trees can be read.
        run: asks a Raspberry Pi's firmware.
        nvml: the module ``pynvml``, or one with the same functions.
        environment: variables; CUDA's say which GPU runs the model.

    Raises:
        ConfigError: the profile names a meter that does not exist.
    """
    names = (power.meter,) if power.meter else PROBED
    reasons = []
    for name in names:
        meter = _make(name, power, root, run, nvml=nvml, environment=environment)
        why = meter.available()
        if not why:
            return meter, ""
        reasons.append(f"{name}: {why}")
    head = "" if power.meter else f"{power.note or 'no energy meter on this machine'}; "
    return None, head + " | ".join(reasons)


def _make(name: str, power: Power, root: Path, run: Vcgencmd, *, nvml: Any, environment: Mapping[str, str]) -> Meter:
    if name == "rapl":
        return RaplMeter(root)
    if name == "ina3221":
        return Ina3221Meter(power.rails, root)
    if name == "pmic":
        return PmicMeter(power.rails, root, run)
    if name == "nvml":
        return CheckedMeter(NvmlMeter(nvml, environment), NvmlPowerMeter(nvml, environment))
    if name == "nvml-power":
        return NvmlPowerMeter(nvml, environment)
    if name.startswith("csv:"):
        return CsvMeter(Path(name.removeprefix("csv:")))
    raise ConfigError(
        "the device profile names an energy meter that does not exist",
        seen=repr(name),
        allowed=", ".join(NAMES),
        next_step=did_you_mean(name, NAMES),
    )
