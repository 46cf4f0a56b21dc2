"""Measure any :class:`~profiles.runner.Runner`: latency, CPU time, memory, energy, and what the engine tells.

Runs inside the process that holds the engine and nothing else; ``targets/worker.py`` starts it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

from profiles.energy import measure_energy, unavailable_energy
from profiles.machine import MachineState, describe, disturbances, snapshot
from profiles.measurement import Kind, Metric, as_stand_in, percentile, unavailable
from profiles.memory import reset_peak, resident_bytes
from profiles.meters.base import Meter
from profiles.runner import Arrays, BatchPoint, Counters, LayerCounters, Runner
from profiles.sampling import Samples, Settings, instability, sample

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Profile:
    """Everything one profiling run found out.

    Attributes:
        metrics: by the names of ``METRIC_UNITS``.
        layers: per layer, in order of execution.
        executed: number of compute layers by the precision that really ran.
        facts: what the engine says of itself (version, threads).
        machine: ``before``, ``after``, ``description`` and ``disturbances``.
        settings: of the run.
        stable: whether nothing spoke against the figures.
        notes: sentences on what did.
        batches: by batch size, where the engine was built for several.
        files: texts of the engine that lie beside ``profile.json``, by name; no part of :meth:`as_dict`.
    """

    metrics: Mapping[str, Metric]
    layers: tuple[LayerCounters, ...]
    executed: Mapping[str, int]
    facts: Mapping[str, str]
    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    stable: bool
    notes: tuple[str, ...] = ()
    batches: tuple[BatchPoint, ...] = ()
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The shape of ``profile.json``."""
        return {
            "schema": 1,
            "metrics": {name: metric.as_dict() for name, metric in self.metrics.items()},
            "layers": [
                {"name": layer.name, "op": layer.op, "precision": layer.precision}
                | {name: metric.as_dict() for name, metric in layer.metrics.items()}
                for layer in self.layers
            ],
            "executed": dict(self.executed),
            "facts": dict(self.facts),
            "machine": dict(self.machine),
            "settings": dict(self.settings),
            "stable": self.stable,
            "notes": list(self.notes),
            "batches": [
                {"batch": point.batch} | {name: metric.as_dict() for name, metric in point.metrics.items()}
                for point in self.batches
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Profile:
        """The inverse of :meth:`as_dict`."""
        plain = ("name", "op", "precision")
        layers = tuple(
            LayerCounters(
                row["name"],
                row["op"],
                {key: Metric.from_dict(value) for key, value in row.items() if key not in plain},
                row.get("precision", ""),
            )
            for row in data["layers"]
        )
        return cls(
            {name: Metric.from_dict(metric) for name, metric in data["metrics"].items()},
            layers,
            data["executed"],
            data["facts"],
            data["machine"],
            data["settings"],
            data["stable"],
            tuple(data["notes"]),
            tuple(_batch_point(row) for row in data.get("batches", ())),
        )

    def on_stand_in(self, machine: str) -> Profile:
        """The same profile, with every measured figure marked as run on ``machine`` instead."""
        layers = tuple(
            dataclasses.replace(row, metrics={k: as_stand_in(m, machine) for k, m in row.metrics.items()})
            for row in self.layers
        )
        metrics = {name: as_stand_in(metric, machine) for name, metric in self.metrics.items()}
        batches = tuple(
            dataclasses.replace(point, metrics={k: as_stand_in(m, machine) for k, m in point.metrics.items()})
            for point in self.batches
        )
        return dataclasses.replace(self, metrics=metrics, layers=layers, batches=batches)


def _batch_point(row: Mapping[str, Any]) -> BatchPoint:
    metrics = {key: Metric.from_dict(value) for key, value in row.items() if key != "batch"}
    return BatchPoint(int(row["batch"]), metrics)


def not_run(counters: Counters, reason: str, settings: Settings) -> Profile:
    """The profile of a bundle that this machine cannot run: what the compiled files alone tell, and why no more."""
    state = snapshot()
    machine = {"before": state.as_dict(), "after": state.as_dict(), "description": describe(state), "disturbances": []}
    told = {name: unavailable(name, reason) for name in ("latency_p50", "peak_memory", "energy")}
    metrics = {**told, **counters.metrics}
    return Profile(
        metrics, counters.layers, {}, counters.facts, machine, settings.as_dict(), stable=True, batches=counters.batches
    )


def measure(
    open_runner: Callable[[], Runner],
    inputs: Arrays,
    settings: Settings,
    *,
    meter: Meter | None = None,
    meter_reason: str = "no energy meter",
    progress: Progress = lambda done, total: None,
) -> Profile:
    """Load the model and measure it.

    Args:
        open_runner: makes the runner; the engine is loaded inside, so that its memory counts.
        inputs: one inference's inputs, in the artifact's layout and dtype.
        settings: how long.
        meter: energy meter of this machine; ``meter_reason`` says why there is none.
        progress: called between blocks of inferences.
    """
    before, start = snapshot(), time.perf_counter()  # first: what it loads is not the engine's memory
    reset_peak()
    baseline = resident_bytes()
    with open_runner() as runner:
        call = runner.bind(inputs)
        if not runner.timed:
            call()
            return _untimed(runner.counters(), before)
        samples = sample(call, settings, progress)
        memory = _peak_memory(baseline)
        after, elapsed = snapshot(), time.perf_counter() - start
        energy = _energy(meter, meter_reason, call)
        del call  # so that the engine can let go of the model before its profiler loads it again
        counters = runner.counters()
    metrics = {**_latency(samples), "peak_memory": memory, **energy, **counters.metrics}
    disturbed = disturbances(before, after, elapsed)
    return _profile(metrics, counters, (before, after, disturbed), settings, samples)


def _untimed(counters: Counters, before: MachineState) -> Profile:
    """What an emulator or a board tells of itself; nothing else on this machine, how long to measure included, has a
    say in it.
    """
    state = {"before": before.as_dict(), "after": before.as_dict(), "description": describe(before), "disturbances": []}
    facts, layers = counters.facts, counters.layers
    return Profile(
        counters.metrics, layers, counters.executed, facts, state, {"timed_runs": 0}, stable=True,
        batches=counters.batches, files=counters.files,
    )  # fmt: skip


def _profile(
    metrics: Mapping[str, Metric],
    counters: Counters,
    machine: tuple[MachineState, MachineState, list[str]],
    settings: Settings,
    samples: Samples,
) -> Profile:
    before, after, disturbed = machine
    notes = instability(samples)
    state = {
        "before": before.as_dict(),
        "after": after.as_dict(),
        "description": describe(before),
        "disturbances": disturbed,
    }
    done = {**settings.as_dict(), "timed_runs": len(samples.wall), "warmup_runs": samples.warmup_runs}
    return Profile(
        metrics, counters.layers, counters.executed, counters.facts, state, done, stable=not notes, notes=tuple(notes),
        batches=counters.batches, files=counters.files,
    )  # fmt: skip


def _latency(samples: Samples) -> dict[str, Metric]:
    ordered = sorted(samples.wall)
    how = f"wall clock around one inference, inputs in place, {len(ordered)} runs"
    metrics = {
        f"latency_p{percent}": Metric(percentile(ordered, percent), "s", Kind.MEASURED, how) for percent in (50, 90, 99)
    }
    metrics["latency_p50"] = dataclasses.replace(metrics["latency_p50"], samples=samples.wall)
    cpu = percentile(sorted(samples.cpu), 50)
    metrics["cpu_time_p50"] = Metric(
        cpu,
        "s",
        Kind.MEASURED,
        "CPU time of all threads per inference, median over blocks",
        samples=samples.cpu,
    )
    mean = sum(samples.wall) / len(samples.wall)
    metrics["throughput"] = Metric(1 / mean, "1/s", Kind.MEASURED, "inferences one after the other, 1 / mean latency")
    return metrics


def _peak_memory(baseline: int | None) -> Metric:
    peak = resident_bytes("VmHWM")
    if peak is None or baseline is None:
        return unavailable("peak_memory", "this kernel does not report resident memory in /proc/self/status")
    how = "peak resident memory of the process above its size before the engine was loaded"
    return Metric(float(max(peak - baseline, 0)), "B", Kind.MEASURED, how)


def _energy(meter: Meter | None, reason: str, call: Callable[[], object]) -> dict[str, Metric]:
    if meter is None:
        return unavailable_energy(reason)
    return measure_energy(meter, lambda seconds: _run_for(call, seconds))


def _run_for(call: Callable[[], object], seconds: float) -> int:
    end = time.perf_counter() + seconds
    count = 0
    while time.perf_counter() < end:
        call()
        count += 1
    return count
