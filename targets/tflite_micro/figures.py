"""The figures of a profile on a microcontroller, each with its kind and how it was obtained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from profiles.device import Device
from profiles.measurement import METRIC_UNITS, Kind, Metric, unavailable
from profiles.runner import Counters, LayerCounters
from targets.base import Compiled
from targets.tflite_micro.emulate import estimate
from targets.tflite_micro.emulate.counts import count
from targets.tflite_micro.emulate.session import Session

_CONSTANTS = ("weights", "bias", "requant", "table")


def of_emulator(
    compiled: Compiled, devices: tuple[Device, Device], elf: Path, inputs: Sequence[bytes], stack: int
) -> Counters:
    """Count one inference under QEMU.

    Args:
        compiled: of the bundle.
        devices: the one that the bundle is for, with whose numbers cycles are estimated, and the emulated one.
        elf: for the emulated one.
        inputs: raw bytes of each input.
        stack: high-water mark in bytes.
    """
    device, emulated = devices
    counts = count(elf, emulated, inputs)
    layers = tuple(
        LayerCounters(row["name"], row["op"], estimate.layer_metrics(device, tally, counts.method), "int8")
        for row, tally in zip(compiled.options["layers"], counts.layers, strict=True)
    )
    counted = estimate.metrics(device, counts)
    metrics = {"latency_p50": _latency(counted["cycles"], device), **counted, **_sizes(compiled.options, stack)}
    facts = {"emulator": counts.method, "compiler": str(compiled.options["compiler"])}
    return Counters(metrics, layers, {"int8": len(layers)}, facts)


def _latency(cycles: Metric, device: Device) -> Metric:
    if cycles.value is None:
        return unavailable("latency_p50", cycles.reason)
    if not device.cpu.clock:
        return unavailable("latency_p50", f"the profile of {device.name} has no clock")
    how = f"estimated cycles at {device.cpu.clock / 1e6:g} MHz; {cycles.method}"
    return Metric(cycles.value / device.cpu.clock, "s", Kind.ESTIMATED, how)


def _sizes(options: Mapping[str, Any], stack: int, seen: Kind = Kind.SIMULATED) -> dict[str, Metric]:
    """Of the linked firmware, and of the memory it was seen to use."""
    found = options["sizes"]
    linked = "sections of the linked firmware"

    def size(name: str, value: float, method: str = linked, kind: Kind = Kind.MEASURED) -> Metric:
        return Metric(float(value), METRIC_UNITS[name], kind, method)

    weights = sum(found[role] for role in _CONSTANTS)
    parts = ", ".join(f"{role} {found[role]}" for role in _CONSTANTS)
    return {
        "flash": size("flash", found["flash"], f"{linked}: code, constants and initial data"),
        "code_size": size("code_size", found["code"], f"{linked}: kernels, generated code, start-up and protocol"),
        "weights_size": size("weights_size", weights, f"{linked}: {parts} B"),
        "ram": size("ram", found["ram"], f"{linked}: arena {found['arena']}, stack {found['stack']}, .bss and .data B"),
        "arena": size("arena", options["arena"], f"planned offsets; lower bound {options['lower_bound']} B"),
        "stack": size("stack", stack, "high-water mark of the painted stack", seen),
    }


def of_board(compiled: Compiled, device: Device, session: Session, inputs: Sequence[bytes], stack: int) -> Counters:
    """Let the board count its own cycles."""
    rate = session.info.tick_hz
    how = f"the board's own counter at {rate / 1e6:g} MHz, one inference"
    ticks = sorted(session.run(inputs).ticks for _ in range(5))[2]
    layers = tuple(
        LayerCounters(row["name"], row["op"], {"latency_p50": Metric(n / rate, "s", Kind.MEASURED, how)}, "int8")
        for row, n in zip(compiled.options["layers"], session.layers(inputs), strict=True)
    )
    latency_metric = Metric(ticks / rate, "s", Kind.MEASURED, f"{how}, median of 5")
    why = "the board has no meter that this runner reads"
    sizes = _sizes(compiled.options, stack, Kind.MEASURED)
    metrics = {"latency_p50": latency_metric, **sizes, "energy": unavailable("energy", why)}
    if device.cpu.clock == rate:
        metrics["cycles"] = Metric(float(ticks), "1", Kind.MEASURED, f"{how}, median of 5")
    return Counters(metrics, layers, {"int8": len(layers)}, {"port": session.name})
