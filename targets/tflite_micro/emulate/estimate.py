"""Cycles and energy, estimated from instruction counts with the numbers of a device profile.

``[parameters.cycles]`` gives cycles for an instruction of each class that ``ew_count.c`` counts, and what is added for
each register moved (``words``), each load right behind another (``paired``) and each branch taken (``taken``).
No wait states, no cache misses, no contention: a lower bound where memory is slow, an upper one where a core issues two
instructions at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from profiles.device import Device
from profiles.measurement import Kind, Metric, unavailable
from targets.tflite_micro.emulate.counts import Counts, Tally


def cycles(device: Device, tally: Tally) -> Metric:
    """Estimated cycles, or unavailable with the reason."""
    table: Mapping[str, Any] = device.parameters.get("cycles", {})
    if not table:
        return unavailable("cycles", f"the profile of {device.name} has no cycles per class of instruction")
    if "any" in tally.classes:
        return unavailable("cycles", "instructions were not counted by class: no C compiler for QEMU's plugin")
    unknown = sorted(name for name, count in tally.classes.items() if count and name not in table)
    if unknown:
        return unavailable("cycles", f"the profile of {device.name} has no cycles for {', '.join(unknown)}")
    total = sum(count * float(table[name]) for name, count in tally.classes.items())
    return Metric(total, "1", Kind.ESTIMATED, f"instructions by class, times cycles of each: {_source(device, table)}")


def _source(device: Device, table: Mapping[str, Any]) -> str:
    """The documents that the table comes from, each once; the profile says which table and which section."""
    said = [device.sources.get(f"parameters.cycles.{name}", "").partition(":")[0] for name in table]
    return "; ".join(dict.fromkeys(text for text in said if text)) or "the device profile"


def energy(device: Device, spent: Metric) -> Metric:
    """Estimated energy of so many cycles: run current per MHz, times supply voltage, times cycles.

    Needs ``[parameters.energy]`` with ``microamps_per_mhz`` and ``volts``.
    """
    table: Mapping[str, Any] = device.parameters.get("energy", {})
    if not {"microamps_per_mhz", "volts"} <= table.keys():
        return unavailable("energy", f"the profile of {device.name} has no run current")
    if spent.value is None:
        return unavailable("energy", spent.reason)
    joules = spent.value * float(table["microamps_per_mhz"]) * 1e-12 * float(table["volts"])
    source = device.sources.get("parameters.energy.microamps_per_mhz", "the device profile")
    return Metric(
        joules, "J", Kind.ESTIMATED, f"estimated cycles, times {table['microamps_per_mhz']} uA/MHz ({source})"
    )


def metrics(device: Device, counts: Counts) -> dict[str, Metric]:
    """Of one inference: ``instructions``, ``instructions_mve``, ``cycles``, ``energy``, and ``init_instructions``."""
    spent = cycles(device, counts.run)
    init = counts.init.total + (counts.startup.total if counts.startup else 0)
    return {
        **layer_metrics(device, counts.run, counts.method),
        "energy": energy(device, spent),
        "init_instructions": _simulated(init, f"{counts.method}; reset to ready, without the port"),
    }


def layer_metrics(device: Device, tally: Tally, method: str) -> dict[str, Metric]:
    """Of one layer: ``instructions``, ``instructions_mve`` and ``cycles``."""
    coarse = "not counted apart: no C compiler for QEMU's plugin"
    return {
        "instructions": _simulated(tally.total, method),
        "instructions_mve": unavailable("1", coarse) if tally.mve is None else _simulated(tally.mve, method),
        "cycles": cycles(device, tally),
    }


def _simulated(count: int, method: str) -> Metric:
    return Metric(float(count), "1", Kind.SIMULATED, method)
