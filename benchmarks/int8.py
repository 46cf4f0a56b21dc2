"""ResNet-8 on CIFAR-10: what int8 costs in accuracy and saves in time, engine by engine."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import toolchain
from benchmarks.common import CIFAR, ENGINES, WEIGHTS, Table, cifar_folder, middle, say, span, write
from profiles.sampling import Settings
from targets.artifact import load_artifact
from targets.measure import profile_bundle
from toolchain.project import project_from_dict

CLAIM = "int8 loses at most 0.5 points against float, and runs at least 1.3 times as fast as fp32 on the same engine."
_QUICK = Settings(seconds=0.5, min_runs=200)


def project() -> Any:
    """ResNet-8 with its trained weights, on every engine in fp32 and int8."""
    devices = [{"profile": "local-cpu", "target": engine, "precision": ["fp32", "int8"]} for engine in ENGINES]
    return project_from_dict(
        {
            "model": {"source": "zoo:resnet8", "weights": str(WEIGHTS)},
            "data": {"source": f"parquet:{cifar_folder()}", "calibration": 64},
            "device": devices,
        }
    )


def run(rounds: int) -> list[str]:
    """Build once, then measure fp32 and int8 of each engine in turn, ``rounds`` times; returns missed goals."""
    with tempfile.TemporaryDirectory() as folder:
        result = toolchain.build(project(), out=Path(folder), profile=False)
        accuracy = {(e.target, e.precision): e.metrics["accuracy"].value or 0.0 for e in result.entries}
        drop = {e.target: e.metrics["accuracy_drop"].value or 0.0 for e in result.entries if e.precision == "int8"}
        bundles = {(e.target, e.precision): load_artifact(e.bundle) for e in result.entries}
        times: dict[tuple[str, str], list[float]] = {key: [] for key in bundles}
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for key, artifact in bundles.items():
                times[key].append(profile_bundle(artifact, _QUICK).metrics["latency_p50"].value or 0.0)
    data = {engine: _engine(engine, times, accuracy, drop[engine]) for engine in ENGINES}
    _write(data)
    return [sentence for engine, found in data.items() for sentence in _missed(engine, found)]


def _engine(
    engine: str, times: dict[tuple[str, str], list[float]], accuracy: dict[tuple[str, str], float], drop: float
) -> dict[str, Any]:
    float_times, int8_times = times[engine, "fp32"], times[engine, "int8"]
    speedups = [a / b for a, b in zip(float_times, int8_times, strict=True)]
    return {
        "fp32_us": middle([t * 1e6 for t in float_times]),
        "int8_us": middle([t * 1e6 for t in int8_times]),
        "speedup": middle(speedups),
        "fp32_accuracy": accuracy[engine, "fp32"],
        "int8_accuracy": accuracy[engine, "int8"],
        "drop": drop,
    }


def _missed(engine: str, found: dict[str, Any]) -> list[str]:
    missed = [] if found["drop"] <= 0.005 else [f"{engine} int8 loses {100 * found['drop']:.2f} points"]
    return missed + (
        [] if found["speedup"]["median"] >= 1.3 else [f"{engine} int8 is {span(found['speedup'])} as fast"]
    )


def _write(data: dict[str, Any]) -> None:
    rows = [
        [
            engine,
            f"{100 * found['fp32_accuracy']:.2f} %",
            f"{100 * found['int8_accuracy']:.2f} %",
            f"{100 * found['drop']:+.2f}",
            f"{span(found['fp32_us'], 1)} µs",
            f"{span(found['int8_us'], 1)} µs",
            f"**{span(found['speedup'])}**",
        ]
        for engine, found in data.items()
    ]
    columns = ["engine", "fp32 accuracy", "int8 accuracy", "drop, points", "fp32 p50", "int8 p50", "fp32 / int8"]
    notes = [
        "Accuracy: top-1 on the 5,000 test rows of the JPEG-compressed CIFAR-10 (`"
        + CIFAR.name
        + "`); the drop is against the torch model in float32.",
        "Min-max calibration on 64 training images. Times: median (lowest–highest) over interleaved rounds.",
    ]
    write("int8", "int8 against fp32, ResNet-8 on CIFAR-10", CLAIM, Table(columns, rows, notes), data)
