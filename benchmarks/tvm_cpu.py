"""TVM on plain CPUs against ONNX Runtime, OpenVINO and LiteRT, float32; what tuning costs and gains."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, Table, middle, say, span, write
from benchmarks.compress_latency import write_file
from benchmarks.tvm_cpu_clock import REFERENCE, ROWS, TUNED
from profiles.machine import snapshot
from targets.execute import ONE_THREAD
from targets.registry import installed_version

CLAIM = (
    "Ahead-of-time code from TVM, without a runtime, takes no longer than ONNX Runtime on networks of MLPerf Tiny; on "
    "large ones it is slower, and no goal is set."
)
#: Network to its source, whether the goal counts there, and the classes.
NETWORKS = {
    "ResNet-8, 32 × 32": ("zoo:resnet8", True, 10),
    "MobileNetV1-0.25, 96 × 96": ("zoo:mobilenet_v1_025", True, 2),
    "ResNet-18, 224 × 224": ("zoo:pytorchcv/resnet18", False, 1000),
}
#: How much slower than the reference still counts as no slower.
_NOISE = 1.05


def run(rounds: int) -> list[str]:
    """Export every network once, compile and time all engines in turn; returns missed goals."""
    found = {name: measured(name, rounds) for name in NETWORKS}
    _write(found)
    return [sentence for name, rows in found.items() if NETWORKS[name][1] for sentence in _missed(name, rows)]


def measured(name: str, rounds: int) -> dict[str, Any]:
    """By row: microseconds, time of ONNX Runtime over its own from the same rounds, and how the outputs differ."""
    with tempfile.TemporaryDirectory(prefix="edgewright-tvm-cpu-") as folder:
        given = _exported(name, Path(folder))
        say(f"{name}: compile for all engines, {rounds} rounds")
        argv = [sys.executable, "-m", "benchmarks.tvm_cpu_clock", str(rounds)]
        env = {**os.environ, **ONE_THREAD}
        done = subprocess.run(
            argv, input=json.dumps(given), capture_output=True, text=True, cwd=ROOT, check=False, env=env
        )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    rows = json.loads(done.stdout.splitlines()[-1])
    figures = {row: _figures(found, rows[REFERENCE]["times"]) for row, found in rows.items()}
    figures["tvm, tuned"]["gain"] = _ratio(rows["tvm"]["times"], rows["tvm, tuned"]["times"])
    return figures


def _exported(name: str, folder: Path) -> dict[str, Any]:
    from toolchain.frontend.source import load_module
    from toolchain.frontend.specs import InputSpec, ModelSpec

    source, _, classes = NETWORKS[name]
    side = int(name.rpartition(" ")[2])
    shape = (1, 3, side, side)
    module = load_module(ModelSpec(source, classes=classes, input=InputSpec(shape), seed=0))
    files = {form: folder / f"network.{form}" for form in ("onnx", "tflite")}
    for path in files.values():
        write_file(module, shape, path)
    return {**{form: str(path) for form, path in files.items()}, "shape": shape, "classes": classes}


def _figures(row: dict[str, Any], reference: list[float]) -> dict[str, Any]:
    return {
        "us": middle([1e6 * each for each in row["times"]]),
        "speed": _ratio(reference, row["times"]),
        "difference": row["difference"],
        "tuning": row["tuning"],
    }


def _ratio(first: list[float], second: list[float]) -> dict[str, float]:
    """How often the second fits into the first, round by round."""
    return middle([its / mine for its, mine in zip(first, second, strict=True)])


def _missed(name: str, rows: dict[str, Any]) -> list[str]:
    speed = rows["tvm"]["speed"]
    slow = speed["median"] * _NOISE < 1
    return [f"{name}: TVM runs at {span(speed)} of ONNX Runtime's speed"] if slow else []


def _write(found: dict[str, dict[str, Any]]) -> None:
    rows = [_row(name, figures) for name, figures in found.items()]
    tuning = "; ".join(f"{name}: {_tuned(figures)}" for name, figures in found.items())
    most = max(row["difference"] for figures in found.values() for row in figures.values())
    notes = [
        "Times: median of the rounds (lowest-highest). In brackets: ONNX Runtime's time over it, from the same rounds; "
        "above 1 is faster than ONNX Runtime. All engines in one process, in turn, the order turned round every round.",
        f"Tuning: up to {TUNED:g} s for each network on this machine, beyond compiling. {tuning}. It tries tiles of "
        "each kernel and keeps the first choice where none is 5 % faster. A kernel that is faster alone need not be so "
        "in its network: below 1, tuning made the network slower.",
        "Weights are random: time does not depend on them, nothing is said about accuracy. Outputs of all engines "
        f"agree with ONNX Runtime's within {most:.1g} of the largest one.",
        "int8 is not in the table: TVM's importer computes Q/DQ pairs in float32, slower than float "
        "([ADR 0022](../adr/0022-tvm-cpu.md)). Large networks: nothing is blocked for caches, and kernels run on one "
        "thread. Other processors than this one were not measured; under QEMU code is checked, not timed.",
        "Looked at once, not by this command: as TVM compiles by itself (no template, channels first), ResNet-8 took "
        "11.8 ms; with Q/DQ pairs 258 µs, where float took 105 µs, and 82 µs in ONNX Runtime's int8.",
    ]
    load = snapshot().load
    notes.append(
        f"TVM {installed_version('apache-tvm')}. Load of the machine at the end: {load[0] if load else 'unknown'}."
    )
    columns = ["network", *ROWS]
    write("tvm_cpu", "TVM on plain CPUs", CLAIM, Table(columns, rows, notes), found)


def _row(name: str, figures: dict[str, Any]) -> list[str]:
    return [name, *(_time(row["us"]) + _speed(label, row) for label, row in figures.items())]


def _time(us: dict[str, float]) -> str:
    if us["median"] < 10_000:
        return f"{span(us, 1)} µs"
    return f"{span({name: value / 1e3 for name, value in us.items()}, 1)} ms"


def _speed(label: str, row: dict[str, Any]) -> str:
    return "" if label == REFERENCE else f" [**{span(row['speed'])}**]"


def _tuned(figures: dict[str, Any]) -> str:
    tuning, gain = figures["tvm, tuned"]["tuning"], figures["tvm, tuned"]["gain"]
    measured = f"{tuning['seconds']:g} s, {tuning['measured']} of {tuning['kernels']} kernels"
    return f"{measured}, {span(gain)} times as fast as untuned"
