"""What a bundle's schedule tells in figures. Nothing was run: all of them are estimated, and say by what."""

from __future__ import annotations

from pathlib import Path

from profiles.measurement import METRIC_UNITS, Kind, Metric, unavailable
from profiles.runner import BatchPoint, Counters, LayerCounters
from targets.tensorrt.compiler.schedule import Kernel, Schedule
from targets.tensorrt.compiler.schedule_file import load_schedules

_NAMES = ("kernels", "dram_bytes", "context_memory")
_ON_DEVICE = "the device compiles the engine, and only then it is known"
#: Operators that a kernel is named after, if it has any of them.
_MAIN = ("Conv", "ConvTranspose", "Gemm", "MatMul", "AveragePool", "MaxPool", "GlobalAveragePool", "Add")


def of_schedule(folder: Path) -> Counters:
    """The figures of the model's own batch size, and of the others below ``batches``.

    * ``kernels``: launches per inference. Of branches all are counted.
    * ``dram_bytes``: every kernel reads each input and writes each output once, densely. What the GPU's L2 cache
      keeps does not reach DRAM, and what is read twice counts once: neither a bound from above nor from below.
    * ``context_memory``: device memory for activations and scratch space, weights not included.

    Args:
        folder: the bundle.

    Raises:
        VerificationError: ``schedule.json`` is damaged.
    """
    planned = load_schedules(folder)
    if planned is None or not planned.schedules:
        return Counters(metrics={name: unavailable(name, _ON_DEVICE) for name in _NAMES})
    first, *_others = planned.schedules
    schedule = planned.schedules[first]
    if schedule.reason:
        return Counters(metrics={name: unavailable(name, schedule.reason) for name in _NAMES})
    batches = [BatchPoint(batch, _metrics(other)) for batch, other in planned.schedules.items() if not other.reason]
    return Counters(
        metrics=_metrics(schedule),
        layers=tuple(_row(kernel, schedule) for kernel in schedule.kernels),
        executed=schedule.executed(),
        facts=_facts(schedule, planned.notes.get(first, ())),
        batches=tuple(batches) if len(batches) > 1 else (),
    )


def planned_by(schedule: Schedule) -> str:
    """Such as ``planned by TensorRT-RTX 1.7.1.116 for SM86, SM89``."""
    gpus = ", ".join(f"SM{capability.replace('.', '')}" for capability in schedule.capabilities)
    return f"planned by {schedule.library} for {gpus}"


def _metrics(schedule: Schedule) -> dict[str, Metric]:
    by = planned_by(schedule)
    return {
        "kernels": _estimated("kernels", len(schedule.kernels), f"launches per inference, {by}"),
        "dram_bytes": _estimated("dram_bytes", schedule.bytes_moved, f"inputs and outputs of all kernels once, {by}"),
        "context_memory": _estimated("context_memory", schedule.device_memory, f"activations and scratch space, {by}"),
    }


def _estimated(name: str, value: float, method: str) -> Metric:
    return Metric(float(value), METRIC_UNITS[name], Kind.ESTIMATED, method)


def _row(kernel: Kernel, schedule: Schedule) -> LayerCounters:
    metric = _estimated("dram_bytes", kernel.bytes_moved, f"its inputs and outputs once, {planned_by(schedule)}")
    return LayerCounters(main_node(kernel, schedule), kernel.kind, {"dram_bytes": metric}, kernel.precision)


def main_node(kernel: Kernel, schedule: Schedule) -> str:
    """The node that a kernel is named after: the one that computes most, else the first, else the compiler's name."""
    nodes = schedule.own_nodes(kernel) or dict.fromkeys(kernel.nodes, "")
    named = {op: node for node, op in reversed(nodes.items())}
    return next((named[op] for op in _MAIN if op in named), next(iter(nodes), kernel.name))


def _facts(schedule: Schedule, notes: tuple[str, ...]) -> dict[str, str]:
    converting = schedule.conversions
    rounding = schedule.requantizations
    facts = {
        "engine": schedule.library,
        "requantization kernels": f"{len(rounding)} of {len(schedule.kernels)} kernels round to 8 bits on their own",
        "conversions": f"{len(converting)} of {len(schedule.kernels)} kernels only convert number formats or layouts",
    }
    return facts | ({"compiler's warnings": "; ".join(notes)} if notes else {})
