"""A build folder as a real build would leave it: three engines in fp32 and int8, and one stand-in.

The numbers are drawn from a fixed seed and only look like measurements.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RUNS = 300
HERE = "Intel Xeon Platinum 8488C, 2 cores, Linux 6.1"
NO_METER = "no energy meter: this machine exposes neither RAPL nor NVML counters"
LAYERS = [
    ("stem/conv", "Conv", 9.0), ("stem/relu", "Relu", 0.6),
    ("block1/conv1", "Conv", 14.0), ("block1/conv2", "Conv", 14.5), ("block1/add", "Add", 1.1),
    ("block2/conv1", "Conv", 10.0), ("block2/conv2", "Conv", 12.5), ("block2/add", "Add", 0.7),
    ("block3/conv1", "Conv", 8.5), ("block3/conv2", "Conv", 11.0), ("pool", "GlobalAveragePool", 0.9),
    ("head/dense", "Gemm", 0.8),
]  # fmt: skip

#: engine, device, precision, p50 in ms, size in KiB, accuracy, kind, latency limit in ms, executed
ENTRIES: list[tuple[str, str, str, float, int, float, str, float, dict[str, int]]] = [
    ("onnxruntime", "local-cpu", "fp32", 0.117, 308, 0.9722, "measured", 0.5, {"fp32": 10}),
    ("onnxruntime", "local-cpu", "int8", 0.077, 96, 0.9694, "measured", 0.5, {"int8": 9, "fp32": 1}),
    ("openvino", "local-cpu", "fp32", 0.125, 322, 0.9722, "measured", 0.5, {"fp32": 10}),
    ("openvino", "local-cpu", "int8", 0.124, 118, 0.9722, "measured", 0.1, {"fp32": 8, "int8": 2}),
    ("litert", "local-cpu", "fp32", 0.110, 306, 0.9722, "measured", 0.5, {"fp32": 10}),
    ("litert", "local-cpu", "int8", 0.034, 92, 0.9667, "measured", 0.5, {"int8": 10}),
    ("litert", "raspberry-pi-5", "int8", 0.036, 92, 0.9667, "stand_in", 2.0, {"int8": 10}),
]


def figure(value: float | None, unit: str, kind: str = "measured", text: str = "", **more: Any) -> dict[str, Any]:
    """A metric as it lies in a file."""
    if value is None:
        return {"value": None, "unit": unit, "kind": "unavailable", "method": "", "reason": text}
    return {"value": value, "unit": unit, "kind": kind, "method": text or "counted", "reason": ""} | more


def latencies(middle: float, seed: int) -> list[float]:
    """Seconds per run: a narrow body and a heavy tail, as an interrupt now and then makes it."""
    rng = random.Random(seed)
    body = [middle * 1e-3 * rng.lognormvariate(0.0, 0.035) for _ in range(RUNS)]
    return [t * (1.0 + rng.paretovariate(2.2)) if rng.random() < 0.04 else t for t in body]


def percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def metrics_of(index: int) -> dict[str, Any]:
    _, device, _, middle, size, accuracy, kind, _, _ = ENTRIES[index]
    samples = latencies(middle, index)
    clock = f"perf_counter_ns over {RUNS} runs after warm-up"
    clock += f"; on {HERE}, not on the device" if kind == "stand_in" else ""
    found = {f"latency_p{p}": figure(percentile(samples, p), "s", kind, clock) for p in (50, 90, 99)}
    found["latency_p50"]["samples"] = samples
    found["cpu_time_p50"] = figure(percentile(samples, 45), "s", kind, "process_time_ns of one thread")
    found["peak_memory"] = figure((18.4 + index) * 2**20, "B", kind, "VmHWM over a baseline")
    found["model_size"] = figure(size * 1024.0, "B", "measured", "bytes of the model's files")
    found["accuracy"] = figure(accuracy, "1", "measured", "360 test images, on the compiled model", uncertainty=0.009)
    found["accuracy_drop"] = figure(0.9722 - accuracy, "1", "measured", "against the float model on the same images")
    reason = NO_METER if device == "local-cpu" else "a stand-in's energy says nothing about the device"
    found["energy"] = figure(None, "J", text=reason)
    return found


def budget_of(index: int, metrics: dict[str, Any]) -> list[dict[str, Any]]:
    limit, value = ENTRIES[index][7] * 1e-3, metrics["latency_p99" if index == 3 else "latency_p50"]["value"]
    name = "latency_p99" if index == 3 else "latency_p50"
    lines: list[dict[str, Any]] = [{"metric": name, "limit": limit, "value": value, "met": value <= limit}]
    drop = metrics["accuracy_drop"]["value"]
    lines.append({"metric": "accuracy_drop", "limit": 0.01, "value": drop, "met": drop <= 0.01})
    if index == 6:
        lines.append({"metric": "energy", "limit": 2e-3, "value": None, "met": None})
    return lines


def layers_of(index: int) -> list[dict[str, Any]]:
    share = ENTRIES[index][3] * 1e-3 / sum(weight for _, _, weight in LAYERS)
    kind = ENTRIES[index][6]
    return [
        {"name": name, "op": op, "precision": ENTRIES[index][2]}
        | {"latency_p50": figure(share * weight, "s", kind, "the engine's own profiler")}
        for name, op, weight in LAYERS
    ]


def errors_of(index: int) -> list[dict[str, Any]]:
    rng = random.Random(40 + index)
    method = "float against quantized on 32 golden images"
    return [
        {"name": name, "op": op, "sqnr": figure(22.0 + 16.0 * rng.random(), "dB", "measured", method)}
        | {"max_error": figure(0.5 * rng.random(), "1", "measured", method)}
        for name, op, _ in LAYERS
    ]


def profile_of(index: int, metrics: dict[str, Any]) -> dict[str, Any]:
    state = {"load_1m": 0.08, "governor": "performance", "clock_hz": 2400000000, "throttled": False}
    return {
        "schema": 1,
        "metrics": metrics,
        "layers": layers_of(index),
        "machine": {
            "before": state,
            "after": state | {"load_1m": 0.31},
            "description": HERE,
            "disturbances": ["The load rose above 0.3 during the runs."] if index == 2 else [],
        },
        "settings": {"runs": RUNS, "warm_up": 50, "threads": 1},
        "stable": index != 2,
        "notes": ["Warm-up ended after 50 runs."],
        "executed": ENTRIES[index][8],
        "facts": {"engine": ENTRIES[index][0], "threads": "1"},
    }


def manifest_of(index: int, name: str) -> dict[str, Any]:
    device = ENTRIES[index][1]
    title = "This computer's CPU" if device == "local-cpu" else "Raspberry Pi 5, 4 × Cortex-A76"
    tools = {"onnxruntime": "1.31.0", "openvino": "2026.4.0", "litert": "2.3.0"}
    engine = ENTRIES[index][0]
    return {
        "schema": 1,
        "tools": {"torch": "2.13.0", engine: tools[engine]},
        "device": {"name": device, "title": title},
        "model": {"name": name, "source": "zoo:resnet8"},
        "inputs": [{"name": "image", "shape": [1, 1, 8, 8], "dtype": "float32", "layout": "NCHW"}],
        "outputs": [{"name": "logits", "shape": [1, 10], "dtype": "float32", "layout": "NC"}],
    }


def make_build(folder: Path, *, model: str = "resnet8-digits", chosen: tuple[int, ...] = tuple(range(7))) -> Path:
    """Write a whole build folder and return it."""
    entries = []
    for index in chosen:
        target, device, precision = ENTRIES[index][:3]
        bundle = f"{device}-{target}-{precision}"
        metrics = metrics_of(index)
        (folder / bundle).mkdir(parents=True)
        write(folder / bundle / "manifest.json", manifest_of(index, model))
        write(folder / bundle / "profile.json", profile_of(index, metrics))
        if precision != "fp32":
            write(folder / bundle / "layers.json", errors_of(index))
        entry = {"device": device, "target": target, "precision": precision, "bundle": bundle, "metrics": metrics}
        entries.append(entry | {"budget": budget_of(index, metrics), "layers": layers_of(index)})
    write(folder / "summary.json", {"schema": 1, "entries": entries})
    return folder


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """The whole synthetic build."""
    return make_build(tmp_path / "build")


@pytest.fixture(scope="session")
def builder() -> Callable[..., Path]:
    """The function that makes one, for variants."""
    return make_build


@pytest.fixture(scope="session")
def edit() -> Callable[[Path, Callable[[Any], None]], None]:
    """Change a JSON file in place."""

    def change(path: Path, how: Callable[[Any], None]) -> None:
        content = json.loads(path.read_text(encoding="utf-8"))
        how(content)
        write(path, content)

    return change
