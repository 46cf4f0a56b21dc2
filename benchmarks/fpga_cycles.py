"""Cycles, traffic and predictions of whole networks in RTL simulation, and how fast the simulation is."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import middle, say
from benchmarks.fpga_networks import Built, built
from targets.tvm_fpga.compiler.cost import LayerCycles, estimate, layer_cycles
from targets.tvm_fpga.compiler.program import Program
from targets.tvm_fpga.compiler.run import run_program, simulated
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.rtl.build import simulator
from targets.tvm_fpga.rtl.simulate import Memory, Run, Simulator

#: Of the memory model that the goals are for: bytes of the port, cycles of latency.
PORT, LATENCY = 8, 100
LANES = (8, 16, 32)
#: In half and in three quarters of all cycles the memory does nothing, at random: half and a quarter of the bandwidth.
HALF, QUARTER = 128, 192


@dataclasses.dataclass(frozen=True)
class Setting:
    """One memory: bytes of its port, latency, and in how many of 256 cycles it holds still."""

    port: int = PORT
    latency: int = LATENCY
    stalls: int = 0

    @property
    def words(self) -> str:
        """For the page."""
        share = {0: "", HALF: ", still in 1/2 of all cycles", QUARTER: ", still in 3/4 of all cycles"}[self.stalls]
        return f"{8 * self.port} bits, {self.latency} cycles{share}"


SETTINGS = (
    *(Setting(latency=latency) for latency in (20, 50, 100, 200, 400)),
    Setting(port=16),
    Setting(stalls=HALF),
    Setting(stalls=QUARTER),
)


def figures(network: Built, geometry: Geometry, opened: Simulator, setting: Setting) -> dict[str, Any]:
    """One inference of all regions; layers with what was predicted of them (for a memory that never holds still)."""
    runs = {symbol: _run(network, symbol, opened, setting) for symbol in network.programs}
    cycles = sum(run.cycles for run in runs.values())
    layers = [row for symbol, run in runs.items() for row in _layers(network.programs[symbol], run, setting.latency)]
    predicted = sum(estimate(network.programs[symbol], setting.latency).cycles for symbol in runs)
    return {
        "cycles": cycles,
        "predicted": predicted,
        "macs": network.macs,
        "utilization": network.macs / (geometry.macs_per_cycle * cycles),
        "bytes": sum((run.read_beats + run.written_beats) * geometry.port for run in runs.values()),
        "compute_busy": sum(run.compute_busy for run in runs.values()),
        "load_busy": sum(run.load_busy for run in runs.values()),
        "store_busy": sum(run.store_busy for run in runs.values()),
        "stalled": sum(run.stalled for run in runs.values()),
        "on_host": network.on_host,
        "layers": layers,
    }


def _run(network: Built, symbol: str, opened: Simulator, setting: Setting) -> Run:
    memory = Memory(latency=setting.latency, stalls=setting.stalls)
    _, run = run_program(network.programs[symbol], network.random_inputs(symbol), simulated(opened, memory))
    assert run is not None
    return run


def _layers(program: Program, run: Run, latency: int) -> list[dict[str, Any]]:
    ends = run.ends["compute"]
    counted = layer_cycles(program.layers, ends, np.zeros(len(ends), int))
    return [_layer(guess, real) for guess, real in zip(estimate(program, latency).layers, counted, strict=True)]


def _layer(guess: LayerCycles, real: LayerCycles) -> dict[str, Any]:
    return {"name": real.name, "cycles": real.cycles, "predicted": guess.cycles}


def worst(layers: list[dict[str, Any]]) -> tuple[str, float]:
    """The layer that was predicted worst, and by what share of its cycles."""
    errors = {row["name"]: row["predicted"] / max(1, row["cycles"]) - 1 for row in layers}
    name = max(errors, key=lambda each: abs(errors[each]))
    return name, errors[name]


def arrays(files: Mapping[str, Path], cache: Path | None = None) -> dict[str, dict[str, Any]]:
    """Every network on every array, by name and lanes."""
    found: dict[str, dict[str, Any]] = {name: {} for name in files}
    for lanes in LANES:
        geometry = Geometry(lanes=lanes)
        with simulator(geometry, cache) as opened:
            for name, path in files.items():
                say(f"{name} on {lanes} x {lanes}")
                found[name][str(lanes)] = figures(built(path, geometry), geometry, opened, Setting())
    return found


def memories(path: Path, lanes: int, cache: Path | None = None) -> list[dict[str, Any]]:
    """One network on one array with every memory; compiled once for each port."""
    rows = []
    for port in dict.fromkeys(setting.port for setting in SETTINGS):
        geometry = Geometry(lanes=lanes, port=port)
        network = built(path, geometry)
        with simulator(geometry, cache) as opened:
            for setting in (each for each in SETTINGS if each.port == port):
                say(f"{lanes} x {lanes}, {setting.words}")
                made = figures(network, geometry, opened, setting)
                rows.append({**dataclasses.asdict(setting), "words": setting.words, **_without(made, "layers")})
    return rows


def _without(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != name}


def speed(path: Path, rounds: int, cache: Path | None = None) -> dict[str, Any]:
    """Cycles per second of the 16 x 16 array, on ResNet-8: by the wall's clock, and by this thread's processor time."""
    geometry = Geometry(lanes=16)
    network = built(path, geometry)
    rates: dict[str, list[float]] = {"wall": [], "processor": []}
    with simulator(geometry, cache) as opened:
        for _ in range(rounds):
            for clock, name in ((time.perf_counter, "wall"), (time.thread_time, "processor")):
                start = clock()
                cycles = sum(_run(network, symbol, opened, Setting()).cycles for symbol in network.programs)
                rates[name].append(cycles / (clock() - start))
    return {name: middle(values) for name, values in rates.items()}
