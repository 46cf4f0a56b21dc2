"""What one profile says, as tables and lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from profiles.machine import MachineState
from profiles.measurement import METRIC_UNITS, Kind, Metric
from profiles.profiler import Profile
from profiles.units import format_quantity
from toolchain.cli.output import print_line, print_table, show, show_named

#: Most wanted first; what is not listed follows in the order of ``METRIC_UNITS``.
ORDER = (
    "latency_p50", "latency_p90", "latency_p99", "latency_events_p50", "latency_graph_p50", "latency_transfers_p50",
    "latency_compiled_p50",
    "cpu_time_p50", "throughput", "energy", "power", "peak_memory", "gpu_memory", "engine_memory", "context_memory",
    "kernels", "cycles", "cycles_compute", "cycles_load", "cycles_store", "cycles_stall", "utilization",
    "dram_bytes", "bytes_loaded", "bytes_stored", "bytes_program", "peak_macs", "peak_bytes",
    "luts", "flip_flops", "multipliers", "block_rams", "device_share", "fmax",
)  # fmt: skip
_HOST = "host's clock"
#: What a name does not tell by itself.
MEANINGS = {
    "latency_p50": f"{_HOST}, median",
    "latency_events_p50": "the GPU's own time, between two CUDA events",
    "latency_graph_p50": "the same kernels replayed as one CUDA graph",
    "latency_transfers_p50": f"{_HOST}, inputs and outputs copied",
    "latency_compiled_p50": f"{_HOST}, after torch.compile",
    "gpu_memory": "peak used",
    "engine_memory": "weights and code on the GPU",
    "context_memory": "activations and workspace on the GPU",
    "kernels": "launches per inference",
    "dram_bytes": "read and written in one inference",
    "cycles_compute": "the array takes a vector",
    "cycles_load": "the array waits for a load",
    "cycles_store": "the array waits for a store",
    "cycles_stall": "the array's pipeline fills",
    "peak_macs": "per cycle at most",
    "peak_bytes": "over the port per cycle",
    "luts": "look-up tables of the circuit",
    "multipliers": "DSP multipliers of the circuit",
    "block_rams": "memory blocks of the circuit",
    "device_share": "of the scarcest resource",
    "fmax": "largest clock that the routed circuit takes",
}
#: What an engine may tell of a layer, and its column.
LAYER_FIGURES = {
    "latency_p50": "time", "instructions": "instructions", "instructions_mve": "vector", "cycles": "cycles",
    "cycles_compute": "computing", "cycles_load": "on loads", "cycles_store": "on stores", "cycles_stall": "stalled",
    "utilization": "used", "dram_bytes": "moved",
}  # fmt: skip


def print_metrics(profile: Profile) -> None:
    """One row per figure, with how it was obtained, or why not."""
    rows = []
    for name in ordered(profile.metrics):
        metric = profile.metrics[name]
        value, how = show_named(name, metric), metric.method or metric.reason
        rows.append([name, _meaning(name, metric), value, metric.kind.value, how])
    columns = ["metric", "what it is", "value", "kind", "how, or why not"]
    if not any(row[1] for row in rows):
        columns, rows = columns[:1] + columns[2:], [row[:1] + row[2:] for row in rows]
    print_table(columns, rows, right=["value"], title=str(profile.machine["description"]))


def _meaning(name: str, metric: Metric) -> str:
    """What a name does not tell; a clock is named only where one was read."""
    text = MEANINGS.get(name, "")
    read = metric.kind in (Kind.MEASURED, Kind.STAND_IN)
    return text if read or not text.startswith(_HOST) else ""


def ordered(names: Mapping[str, object]) -> list[str]:
    """Names in the order in which people ask for them."""
    known = {name: index for index, name in enumerate(dict.fromkeys([*ORDER, *METRIC_UNITS]))}
    return sorted(names, key=lambda name: (known.get(name, len(known)), name))


def print_batches(profile: Profile) -> None:
    """One row per batch size, where several were measured, and the reasons for what is missing."""
    if not any(point.batch != 1 for point in profile.batches):
        return
    points = sorted(profile.batches, key=lambda point: point.batch)
    names = ordered({name: None for point in points for name in point.metrics})
    rows = [[str(point.batch), *(show(point.metrics.get(name)) for name in names)] for point in points]
    print_table(["batch", *names], rows, right=["batch", *names], title="by batch size; throughput counts samples")
    reasons = {
        f"note: batch {point.batch}: no {name}: {metric.reason}"
        for point in points
        for name, metric in point.metrics.items()
        if not metric.available
    }
    for sentence in sorted(reasons):
        print_line(sentence)


def print_layers(profile: Profile) -> None:
    """One row per layer in order of execution."""
    if not profile.layers:
        print_line("note: the engine tells nothing of single layers")
        return
    told = [name for name in LAYER_FIGURES if any(name in row.metrics for row in profile.layers)]
    rows = [
        [row.name, row.op, row.precision, *(show_named(name, row.metrics.get(name)) for name in told)]
        for row in profile.layers
    ]
    columns = [LAYER_FIGURES[name] for name in told]
    print_table(["layer", "operator", "precision", *columns], rows, right=columns)


def print_gpus(machine: Mapping[str, Any]) -> None:
    """The GPU before and after the runs: clocks, why they were lowered, temperature, power limit and mode."""
    before, after = (MachineState.from_dict(machine[when]) for when in ("before", "after"))
    for first, last in zip(before.gpus, after.gpus, strict=False):
        rows = [list(row) for row in _gpu_rows(_gpu_facts(first), _gpu_facts(last))]
        rows += [[name, *pair] for name, *pair in _gpu_rows(_board(before), _board(after))]
        print_table(["GPU", "before", "after"], rows, title=first.name)
    if after.gpus_unread:
        print_line(f"note: the state of the GPU is not known: {after.gpus_unread}")


def _gpu_rows(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in dict.fromkeys([*before, *after]):
        yield name, before.get(name, "–"), after.get(name, "–")


def _board(state: MachineState) -> dict[str, str]:
    return {"power mode": state.power_mode} if state.power_mode else {}


def _gpu_facts(gpu: Any) -> dict[str, str]:
    """What a GPU says of itself, in words; nothing for what it does not say."""
    clocks = {f"{clock.domain} clock": _clock(clock.current, clock.maximum) for clock in gpu.clocks}
    told = {
        "driver": " ".join(filter(None, [gpu.driver, gpu.cuda and f"(CUDA {gpu.cuda})"])),
        "compute capability": gpu.compute_capability,
        **clocks,
        "clocks lowered by": ", ".join(gpu.throttle_reasons),
        "throttled": _throttled(gpu.throttled_seconds),
        "temperature": gpu.temperature and f"{gpu.temperature:.0f} °C",
        "power limit": gpu.power_limit and format_quantity(gpu.power_limit, "W"),
        "performance state": gpu.performance_state,
        "governor": gpu.governor,
        "memory used": gpu.memory_used and _of(gpu.memory_used, gpu.memory),
        "other processes": str(gpu.processes) if gpu.processes else "",
    }
    return {name: str(text) for name, text in told.items() if text}


def _clock(current: float | None, most: float | None) -> str:
    return " of ".join(format_quantity(value, "Hz") for value in (current, most) if value)


def _of(used: float, most: float | None) -> str:
    return " of ".join(format_quantity(value, "B") for value in (used, most) if value)


def _throttled(seconds: Mapping[str, float]) -> str:
    """``1.2 s by its power limit``; causes that took no time are left out."""
    return ", ".join(f"{format_quantity(s, 's')} by its {cause}" for cause, s in seconds.items() if s)


def notes(profile: Profile) -> Sequence[str]:
    """Sentences that speak against the figures."""
    return (*profile.notes, *profile.machine["disturbances"])
