"""A build for an accelerator as a real one would leave it: a network of many layers, with its trace.

The numbers are drawn from a fixed seed; cycles and bytes add up as those of a simulation do.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

LANES, PORT, CLOCK = 16, 8, 100e6
HOW = "RTL under Verilator; memory: 8 B per cycle, 100 cycles of latency"
SAME = "every inference takes the same cycles: there is nothing to take a percentile of"
#: A layer's row in ``profile.json`` has these, beside ``cycles``.
CAUSES = ("compute", "load", "store", "stall")


def figure(value: float | None, unit: str, kind: str = "simulated", text: str = HOW) -> dict[str, Any]:
    """A metric as it lies in a file."""
    if value is None:
        return {"value": None, "unit": unit, "kind": "unavailable", "method": "", "reason": text}
    return {"value": float(value), "unit": unit, "kind": kind, "method": text, "reason": ""}


def drawn(layers: int) -> list[dict[str, Any]]:
    """Layers with their cycles and bytes: a first one that waits, depthwise and pointwise ones in turn, a last one."""
    rng, found = random.Random(layers), []
    for number in range(layers):
        deep = number % 2 == 1
        compute = int(2400 * rng.uniform(0.2, 1.0) * (0.5 if deep else 1.6)) or 1
        waits = {"load": 700 if number == 0 else rng.choice((0, 0, 0, 120)), "store": 0, "stall": rng.randint(2, 60)}
        if number == layers - 1:
            compute, waits = 16, {"load": 40, "store": 107, "stall": 64}
        macs = int(compute * LANES * (9 if deep else LANES) * rng.uniform(0.6, 1.0))
        loaded = LANES * int((found[-1]["compute"] if found else 900) * rng.uniform(0.05, 0.9) * PORT / LANES)
        stored = 16 if number == layers - 1 else 0
        op = "depthwise" if deep else "conv"
        moved = {"loaded": loaded, "stored": stored}
        found.append({"name": f"block{number}/{op}", "op": op, "macs": macs, **moved, "compute": compute, **waits})
    return found


def metrics_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Cycles by cause and bytes, of a layer or of all."""
    total = {key: sum(row[key] for row in rows) for key in (*CAUSES, "macs", "loaded", "stored")}
    cycles = sum(total[cause] for cause in CAUSES)
    found = {f"cycles_{cause}": figure(total[cause], "1") for cause in CAUSES}
    found |= {"cycles": figure(cycles, "1"), "utilization": figure(total["macs"] / (LANES**2 * cycles), "1")}
    found |= {"bytes_loaded": figure(total["loaded"], "B"), "bytes_stored": figure(total["stored"], "B")}
    return found | {"dram_bytes": figure(total["loaded"] + total["stored"], "B")}


def trace_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Layers one after the other, each one's loads while the one before it computes."""
    names = {"layers": 1, "load": 2, "compute": 3, "store": 4}
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": tid, "ts": 0, "args": {"name": name}}
        for name, tid in names.items()
    ]

    def add(track: str, name: str, start: float, cycles: float, kind: str, **args: Any) -> None:
        place = {"pid": 1, "tid": names[track], "ts": start / 100, "dur": cycles / 100}
        events.append({"ph": "X", "name": name, "cat": kind, **place, "args": {"cycles": cycles, **args}})

    at, loading = 0, 0.0
    for row in rows:
        cycles = sum(row[cause] for cause in CAUSES)
        add("layers", row["name"], at, cycles, "layer")
        if row["load"]:
            add("compute", "waits for load", at, row["load"], "wait")
        add("compute", row["name"], at + row["load"], row["compute"], "compute")
        if row["stored"]:
            add("store", "results", at + cycles - row["store"], row["store"], "store", layer=row["name"])
        beats = row["loaded"] / PORT
        add("load", f"weights of {row['name']}", loading, beats, "load", layer=row["name"])
        for when, value in ((loading, 96.9), (loading + beats, 0.0)):
            counter = {"ph": "C", "name": "port", "pid": 1, "tid": 0, "ts": when / 100}
            events.append({**counter, "args": {"read %": value, "written %": 0.0}})
        at, loading = at + cycles, max(loading + beats, float(at))
    return {"traceEvents": events, "displayTimeUnit": "ns", "otherData": {"clock": "100 MHz, nominal", "cycles": at}}


def make_fpga_build(folder: Path, *, layers: int = 29, trace: bool = True) -> Path:
    """Write a build folder with one bundle, and return it."""
    rows, name = drawn(layers), "fpga-sim-16x16"
    metrics = metrics_of(rows)
    metrics["dram_bytes"]["value"] += 5120
    metrics |= {
        "latency_p50": figure(metrics["cycles"]["value"] / CLOCK, "s", "estimated", "simulated cycles at 100 MHz"),
        "latency_p90": figure(None, "s", text=SAME),
        "latency_p99": figure(None, "s", text=SAME),
        "bytes_program": figure(5120, "B"),
        "peak_macs": figure(LANES**2, "1", "measured"),
        "peak_bytes": figure(PORT, "B", "measured"),
        "accuracy": figure(0.91, "1"),
        "model_size": figure(300_000, "B", "measured"),
    }
    told = [
        {"name": row["name"], "op": row["op"], "precision": "int8", "macs": figure(row["macs"], "1", "measured")}
        | metrics_of([row])
        for row in rows
    ]
    limit = {"metric": "latency_p50", "limit": 1e-3, "value": metrics["latency_p50"]["value"]}
    budget = [{**limit, "met": limit["value"] <= limit["limit"]}]
    entry = {"device": name, "target": "tvm_fpga", "precision": "int8", "bundle": name, "metrics": metrics}
    write(folder / "summary.json", {"schema": 1, "entries": [{**entry, "budget": budget, "layers": told}]})
    profile = {"schema": 1, "metrics": metrics, "layers": told, "machine": {"before": {}, "after": {}}, "stable": True}
    write(folder / name / "profile.json", profile)
    manifest = {"schema": 1, "device": {"name": name, "title": "16 x 16 int8 accelerator in RTL simulation"}}
    write(folder / name / "manifest.json", manifest | {"model": {"name": "mobilenet-vww"}})
    if trace:
        write(folder / name / "timeline.json", trace_of(rows))
    return folder


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
