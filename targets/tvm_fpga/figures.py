"""The figures of a profile on the accelerator: cycles are counted in RTL simulation, time follows from a clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from profiles.device import Device
from profiles.measurement import METRIC_UNITS, Kind, Metric, unavailable
from profiles.runner import Counters, LayerCounters
from targets.artifact import TIMELINE
from targets.base import Compiled
from targets.tvm_fpga import resources
from targets.tvm_fpga.account import Spent, account, program_bytes
from targets.tvm_fpga.compiler.program import Program
from targets.tvm_fpga.device import geometry_of, memory_of
from targets.tvm_fpga.energy import energy
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.rtl.simulate import Run
from targets.tvm_fpga.timeline import timeline


def of_runs(compiled: Compiled, device: Device, programs: Mapping[str, Program], runs: Mapping[str, Run]) -> Counters:
    """What one inference counted, summed over its regions.

    Args:
        compiled: of the bundle.
        device: whose array and clock it is.
        programs, runs: by the region's symbol.
    """
    geometry, how = geometry_of(device), _method(device)
    spent = {symbol: account(programs[symbol], run) for symbol, run in runs.items()}
    whole = sum((each for layers in spent.values() for each in layers.values()), Spent())
    program = sum(program_bytes(programs[symbol], run) for symbol, run in runs.items())
    macs, moved = compiled.options["macs"]["accelerator"], whole.loaded + whole.stored + program
    metrics = {
        "latency_p50": _latency(whole.cycles, device, compiled.options["host_operators"]),
        **_unvaried(),
        **_of_spent(whole, macs, geometry, how),
        "bytes_program": _simulated("bytes_program", program, f"instructions over the port; {how}"),
        "dram_bytes": _simulated("dram_bytes", moved, f"program, weights, tensors over the port; {how}"),
        "peak_macs": _counted("peak_macs", geometry.macs_per_cycle, "products of the array in one cycle"),
        "peak_bytes": _counted("peak_bytes", geometry.port, "width of the memory port: bytes in one cycle"),
        "weights_size": _counted("weights_size", compiled.options["weights"], "int8 weights of all regions"),
        "model_size": _counted("model_size", compiled.options["image"], "memory images: stream, weights, tensors"),
        **resources.metrics(device),
    }
    metrics["energy"] = energy(device, macs, moved, metrics["latency_p50"].value)
    layers = [
        layer
        for symbol, found in spent.items()
        for layer in _layers(compiled.options["layers"][symbol], found, geometry, how)
    ]
    facts = {"array": f"{geometry.lanes} x {geometry.lanes}", "simulator": how}
    files = {TIMELINE: timeline(programs, runs, resources.clock(device))}
    ran = {"int8": len(layers)} | ({"fp32": host} if (host := compiled.options.get("host_layers", 0)) else {})
    return Counters(metrics, tuple(layers), ran, facts, files=files)


def _method(device: Device) -> str:
    memory, port = memory_of(device), geometry_of(device).port
    return f"RTL under Verilator; memory: {port} B per cycle, {memory.latency} cycles of latency"


def _simulated(name: str, value: float, how: str) -> Metric:
    return Metric(float(value), METRIC_UNITS[name], Kind.SIMULATED, how)


def _counted(name: str, value: float, how: str) -> Metric:
    return Metric(float(value), METRIC_UNITS[name], Kind.MEASURED, how)


def _share(macs: int, cycles: int, geometry: Geometry) -> float:
    return macs / (geometry.macs_per_cycle * cycles) if cycles else 0.0


def _of_spent(spent: Spent, macs: int, geometry: Geometry, how: str) -> dict[str, Metric]:
    """Cycles by cause, bytes by direction, and how much of the array they used."""
    found = {
        "cycles": _simulated("cycles", spent.cycles, how),
        "utilization": _simulated("utilization", _share(macs, spent.cycles, geometry), f"{macs} MACs; {how}"),
    }
    for name, (value, what) in _causes(spent).items():
        found[name] = _simulated(name, value, f"{what}; {how}")
    return found


def _causes(spent: Spent) -> dict[str, tuple[int, str]]:
    return {
        "cycles_compute": (spent.compute, "a vector goes into the array"),
        "cycles_load": (spent.load, "the array waits for a load"),
        "cycles_store": (spent.store, "the array waits for a store, or the last results are being written"),
        "cycles_stall": (spent.stall, "weights on their way into the array, its pipeline fills or drains"),
        "bytes_loaded": (spent.loaded, "weights, parameters and tensors, without instructions"),
        "bytes_stored": (spent.stored, "tensors"),
    }


def _unvaried() -> dict[str, Metric]:
    """What a simulation has none of."""
    same = "every inference takes the same cycles: there is nothing to take a percentile of"
    elsewhere = "the processor here simulates; what it needs says nothing about the accelerator"
    found = {name: unavailable(name, same) for name in ("latency_p90", "latency_p99")}
    return found | {name: unavailable(name, elsewhere) for name in ("cpu_time_p50", "peak_memory")}


def _latency(cycles: int, device: Device, host: Iterable[str]) -> Metric:
    clock = resources.clock(device)
    if clock is None:
        return unavailable("latency_p50", f"no clock: {resources.why_not(device)}")
    left_out = ", ".join(host)
    beside = f"; without what runs on the host ({left_out})" if left_out else ""
    return Metric(cycles / clock.hertz, "s", Kind.ESTIMATED, f"simulated cycles at {clock.words}{beside}")


def _layers(
    rows: list[dict[str, Any]], spent: Mapping[str, Spent], geometry: Geometry, how: str
) -> Iterator[LayerCounters]:
    """Cycles from the end of what ran before to the end of the layer, and bytes: they add up to the whole."""
    by_name = {row["name"]: row for row in rows}
    for name, mine in spent.items():
        row = by_name.get(name, {"op": "copy", "macs": 0})
        metrics = {
            **_of_spent(mine, row["macs"], geometry, how),
            "dram_bytes": _simulated("dram_bytes", mine.loaded + mine.stored, f"without instructions; {how}"),
            "macs": _counted("macs", row["macs"], "of the layer; an average is a sum of products with one"),
        }
        yield LayerCounters(name, row["op"], metrics, "int8")
