"""The accelerator for FPGAs: cycles, predictions, speed of the simulation, accuracy, the circuit, published designs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks import fpga_accuracy, fpga_circuit, fpga_cycles
from benchmarks.fpga_networks import NETWORKS, RESNET8, exported, noise, quantized
from benchmarks.fpga_page import write_page

CLAIM = (
    "End to end with a model of the memory, the 16 × 16 array takes at most 55,500 cycles for ResNet-8, 60,000 for VWW "
    "and 22,000 for DS-CNN; every layer's cycles are predicted within 5 %; CIFAR-10 images in simulation give "
    "exactly the golden integers, at most 0.5 points less accurate than float on the first 500 and on all 5,000."
)
#: Goals: error of a predicted layer, cycles simulated in a second.
ERROR, SPEED = 0.05, 1e6


def run(rounds: int) -> list[str]:
    """Build, simulate, judge, write; ``rounds`` are for the simulator's speed. Returns missed goals."""
    with tempfile.TemporaryDirectory(prefix="edgewright-fpga-") as folder:
        data = measured(Path(folder), rounds)
    missed = _missed(data)
    write_page(CLAIM, data, missed, rounds)
    return missed


def measured(folder: Path, rounds: int) -> dict[str, Any]:
    """All figures."""
    files = {name: _file(name, folder / str(number)) for number, name in enumerate(NETWORKS)}
    return {
        "speed": fpga_cycles.speed(files[RESNET8], rounds),
        "arrays": fpga_cycles.arrays(files),
        "memories": {str(lanes): fpga_cycles.memories(files[RESNET8], lanes) for lanes in (16, 8)},
        "accuracy": fpga_accuracy.measure(folder / "accuracy"),
        "circuit": fpga_circuit.circuit(),
    }


def _file(name: str, folder: Path) -> Path:
    folder.mkdir()
    model = exported(NETWORKS[name], folder)
    return quantized(model, noise(model), folder / "int8")


def _missed(data: dict[str, Any]) -> list[str]:
    return [
        *_slow(data["arrays"]),
        *_unforeseen(data["arrays"]),
        *_slow_simulation(data["speed"]),
        *fpga_accuracy.missed(data["accuracy"]),
        *fpga_circuit.missed(data["circuit"]),
    ]


def _slow(arrays: dict[str, dict[str, Any]]) -> list[str]:
    taken = {name: sizes["16"]["cycles"] for name, sizes in arrays.items()}
    return [
        f"{name}: {cycles:,} cycles, goal {NETWORKS[name].goal:,.0f}"
        for name, cycles in taken.items()
        if cycles > NETWORKS[name].goal
    ]


def _unforeseen(arrays: dict[str, dict[str, Any]]) -> list[str]:
    """Layers whose cycles are predicted worse than the goal."""
    return [
        f"{name} on {lanes} × {lanes}: '{row['name']}' takes {row['cycles']} cycles, {row['predicted']} were predicted"
        for name, sizes in arrays.items()
        for lanes, found in sizes.items()
        for row in found["layers"]
        if abs(row["predicted"] - row["cycles"]) > ERROR * row["cycles"]
    ]


def _slow_simulation(speed: dict[str, Any]) -> list[str]:
    """By processor time, which other work on the machine disturbs less."""
    median = speed["processor"]["median"]
    return [] if median >= SPEED else [f"the simulator does {median / 1e6:.2f} M cycles/s, goal {SPEED / 1e6:g} M"]
