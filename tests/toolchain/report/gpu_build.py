"""A build for GPUs as a real one would leave it; the numbers are drawn from a fixed seed and only look measured."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

WHY_NOT_RUN = "no NVIDIA GPU on this machine: the driver's library libcuda.so.1 is absent"
#: format: milliseconds by events, KiB of the bundle, accuracy, kernels, MiB moved, joules, of these kernels alone
FORMATS: dict[str, tuple[float, int, float, int, float, float, int]] = {
    "fp32": (0.410, 96_800, 0.7611, 58, 142.0, 0.0320, 0),
    "fp16": (0.190, 49_100, 0.7609, 57, 71.5, 0.0138, 0),
    "int8": (0.247, 30_200, 0.7570, 71, 52.3, 0.0141, 9),
}
BATCHES = (1, 2, 4, 8, 16, 32)
PLACEMENT = {
    "best": "and skip branches of additions",
    "gain": 0.054,
    "rows": [
        {"name": "inputs of convolutions", "verdict": "default", "time": 2.61e-4, "ratio": None, "loss": None,
         "why": "the default placement", "against": "", "spread": None},
        {"name": "and skip branches of additions", "verdict": "kept", "time": 2.47e-4, "ratio": 0.946, "loss": 0.0041,
         "why": "5.4% faster than the default", "against": "inputs of convolutions", "spread": [0.941, 0.95]},
        {"name": "and the last layer", "verdict": "not faster", "time": 2.46e-4, "ratio": 0.996, "loss": None,
         "why": "0.4% faster; a gain of 2.0% is asked for", "against": "", "spread": [0.99, 1.0]},
    ],
}  # fmt: skip
UNTIMED = {
    "best": "inputs of convolutions",
    "gain": None,
    "rows": [{"name": "inputs of convolutions", "verdict": "default", "why": "the default placement; not measured"}],
}


def figure(
    value: float | None, unit: str, kind: str = "measured", text: str = "counted", **more: Any
) -> dict[str, Any]:
    """A metric as it lies in a file."""
    if value is None:
        return {"value": None, "unit": unit, "kind": "unavailable", "method": "", "reason": text}
    return {"value": value, "unit": unit, "kind": kind, "method": text, "reason": ""} | more


def spread(middle: float, seed: int) -> list[float]:
    rng = random.Random(seed)
    return [middle * 1e-3 * rng.lognormvariate(0.0, 0.02) for _ in range(200)]


def median(values: list[float]) -> float:
    ordered = sorted(values)
    return (ordered[99] + ordered[100]) / 2


def static_metrics(precision: str, kind: str) -> dict[str, Any]:
    """What the compiled files tell, and the accuracy of the graph."""
    _, size, accuracy, kernels, moved, _, _ = FORMATS[precision]
    return {
        "model_size": figure(size * 1024.0, "B", text="bytes of the bundle's files"),
        "accuracy": figure(accuracy, "1", kind, "2000 images", uncertainty=0.0095),
        "accuracy_drop": figure(0.7611 - accuracy, "1", kind, "against the float model"),
        "kernels": figure(float(kernels), "1", "estimated", "the compiler's own schedule"),
        "dram_bytes": figure(moved * 2**20, "B", "estimated", "tensors of every kernel in the schedule"),
    }


def run_metrics(precision: str) -> dict[str, Any]:
    """What a GPU tells."""
    events, _, _, _, _, joules, _ = FORMATS[precision]
    seed = list(FORMATS).index(precision)
    found = static_metrics(precision, "measured")
    shares = {"latency_events_p50": 1.0, "latency_p50": 1.12, "latency_graph_p50": 0.9, "latency_transfers_p50": 1.5}
    for place, (name, factor) in enumerate(shares.items()):
        samples = spread(events * factor, 10 * seed + place)
        found[name] = figure(median(samples), "s", text="200 runs", samples=samples)
    found["latency_p90"] = figure(median(spread(events * 1.2, seed)), "s", text="200 runs")
    found["throughput"] = figure(1000 / (events * 1.12), "1/s", text="1 / mean latency")
    found["energy"] = figure(joules, "J", text="NVML's total energy counter", uncertainty=0.01 * joules)
    found["gpu_memory"] = figure((310.0 + 20 * seed) * 2**20, "B", text="peak used")
    return found


def sweep(precision: str) -> list[dict[str, Any]]:
    one = FORMATS[precision][0]
    rows = []
    for batch in BATCHES:
        seconds = 1e-3 * one * (0.55 + 0.45 * batch)
        rows.append(
            {"batch": batch, "latency_events_p50": figure(seconds, "s", text="CUDA events")}
            | {"throughput": figure(batch / seconds, "1/s", text="samples / mean latency")}
        )
    return rows


def profile_of(precision: str, metrics: dict[str, Any], ran: bool) -> dict[str, Any]:
    gpu = {"clock": "2475000000 Hz", "throttle reasons": "none", "power mode": "MAXN"} if ran else {}
    alone = FORMATS[precision][6]
    return {
        "schema": 1,
        "metrics": metrics,
        "layers": [],
        "machine": {"before": {"load_1m": 0.1, **gpu}, "after": {"load_1m": 0.2, **gpu}, "disturbances": []}
        | {"description": "RTX 4070, driver 580.65" if ran else "Intel Xeon, 2 cores"},
        "settings": {"runs": 200},
        "stable": True,
        "notes": [],
        "executed": {precision: 54} if ran else {},
        "facts": {"engine": "TensorRT-RTX 1.7.1"}
        | ({"requantization kernels": f"{alone} of 71 kernels round to 8 bits on their own"} if alone else {}),
        "batches": sweep(precision) if ran else [],
    }


def make_gpu_build(
    folder: Path, *, device: str = "rtx-4070", ran: bool = True, chosen: tuple[str, ...] = tuple(FORMATS)
) -> Path:
    """Write a build folder with one device and one bundle per format, and return it."""
    entries = []
    for precision in chosen:
        bundle = f"{device}-{precision}"
        metrics = run_metrics(precision) if ran else static_metrics(precision, "simulated")
        if not ran:
            absent = {name: figure(None, unit, text=WHY_NOT_RUN) for name, unit in _ABSENT.items()}
            metrics |= absent
        build: dict[str, Any] = {"executed": "on this machine" if ran else f"compiled, not run: {WHY_NOT_RUN}"}
        if precision == "int8":
            build["placement"] = PLACEMENT if ran else UNTIMED
        manifest = {"schema": 1, "tools": {"tensorrt-rtx-cu13": "1.7.1.116"}, "model": {"name": "resnet50"}}
        manifest |= {"device": {"name": device, "title": "GeForce RTX 4070"}, "build": build}
        write(folder / bundle / "manifest.json", manifest)
        write(folder / bundle / "profile.json", profile_of(precision, metrics, ran))
        entry = {"device": device, "target": "tensorrt", "precision": precision, "bundle": bundle, "metrics": metrics}
        entries.append(entry | {"budget": [], "layers": []})
    write(folder / "summary.json", {"schema": 1, "entries": entries})
    return folder


_ABSENT = {"latency_p50": "s", "peak_memory": "B", "energy": "J"}


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
