"""The table of a build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from targets.artifact import NOT_RUN
from toolchain.baseline import baseline_of, times_pytorch
from toolchain.cli.output import MARKS, legend, print_line, print_table, show, show_named, show_percent

if TYPE_CHECKING:
    from toolchain.summary import Entry

COLUMNS = ["bundle", "ran as", "p50", "p90", "p99", "memory", "size", "accuracy", "drop", "energy", "budget"]
#: How many times faster than the baseline, where there is one; it stands behind the median.
VERSUS, _AFTER = "vs PyTorch", COLUMNS.index("p50") + 1
_NUMBERS = ["p50", "p90", "p99", "memory", "size", "accuracy", "drop", "energy"]
#: What stands in these columns.
SHOWN = (
    "latency_p50", "latency_p90", "latency_p99", "peak_memory", "model_size", "accuracy", "accuracy_drop", "energy",
)  # fmt: skip


#: Of firmware: what a processor with an operating system has no figures for.
FIRMWARE = {
    "instructions": "instructions", "vector": "instructions_mve", "cycles": "cycles", "flash": "flash",
    "code": "code_size", "constants": "weights_size", "RAM": "ram", "arena": "arena", "stack": "stack",
}  # fmt: skip

#: Of engines on a GPU: what its own clock says, and what the compiler planned.
GPU = {
    "events p50": "latency_events_p50", "graph p50": "latency_graph_p50", "with copies": "latency_transfers_p50",
    "compiled": "latency_compiled_p50",
    "throughput": "throughput", "GPU memory": "gpu_memory", "engine": "engine_memory", "context": "context_memory",
    "kernels": "kernels", "moved": "dram_bytes",
}  # fmt: skip
#: Of an accelerator in an FPGA: what simulation counts, and what synthesis, placement and routing found.
FPGA = {
    "cycles": "cycles", "utilization": "utilization", "moved": "dram_bytes", "LUTs": "luts", "flip-flops": "flip_flops",
    "multipliers": "multipliers", "block RAMs": "block_rams", "of the device": "device_share", "clock": "fmax",
}  # fmt: skip
#: A second table, with the figures of which one makes a bundle part of it.
SECOND = (
    ("firmware", FIRMWARE, ("flash",)),
    ("on the GPU", GPU, ("latency_events_p50", "kernels")),
    ("on the FPGA", FPGA, ("utilization", "luts")),
)


def print_entries(entries: Sequence[Entry]) -> None:
    """One row per bundle, more tables for firmware and GPUs, and a legend for the marks that occur."""
    _print_first(entries)
    for title, columns, signs in SECOND:
        _print_second(title, columns, [entry for entry in entries if any(sign in entry.metrics for sign in signs)])
    shown = {*SHOWN, *(name for _, columns, _ in SECOND for name in columns.values())}
    explained = legend(metric.kind for entry in entries for name, metric in entry.metrics.items() if name in shown)
    notes = [explained] if explained else []
    if any(entry.stable is False for entry in entries):
        notes.append("! unstable run: see the notes in profile.json")
    if notes:
        print_line("; ".join(notes))


def _print_first(entries: Sequence[Entry]) -> None:
    """One row per bundle; with a baseline among them, how many times faster than that each one is."""
    columns, rows = list(COLUMNS), [_row(entry) for entry in entries]
    if any(baseline_of(entry, entries) for entry in entries):
        columns.insert(_AFTER, VERSUS)
        for row, entry in zip(rows, entries, strict=True):
            row.insert(_AFTER, versus(entry, entries))
    print_table(columns, rows, right=[*_NUMBERS, VERSUS])


def versus(entry: Entry, entries: Sequence[Entry]) -> str:
    """``×3.20``: how many times faster than the device's baseline."""
    times = times_pytorch(entry, entries)
    if times is None:
        return "baseline" if baseline_of(entry, entries) is entry else "–"
    return f"×{times:.2f}"


def _row(entry: Entry) -> list[str]:
    find = entry.metrics.get
    plain = {name: metric.as_dict() for name, metric in entry.metrics.items()}
    return [
        f"{entry.name} ({entry.target})" if entry.target not in entry.name else entry.name,
        ran_as(entry),
        show(find("latency_p50")) + (" !" if entry.stable is False else ""),
        show(find("latency_p90")),
        show(find("latency_p99")),
        show(find("peak_memory")),
        show(find("model_size")),
        show_percent(plain.get("accuracy"), 1),
        show_percent(plain.get("accuracy_drop")),
        show(find("energy")),
        verdict(entry),
    ]


def _print_second(title: str, columns: Mapping[str, str], entries: Sequence[Entry]) -> None:
    """Columns that no entry has a figure for are left out, but for those of firmware, which are few and always told."""
    told = [
        heading
        for heading, name in columns.items()
        if columns is FIRMWARE or any((m := entry.metrics.get(name)) and m.available for entry in entries)
    ]
    names = [columns[heading] for heading in told]
    rows = [[entry.name, *(show_named(name, entry.metrics.get(name)) for name in names)] for entry in entries]
    if rows and told:
        print_table([title, *told], rows, right=told)


def ran_as(entry: Entry) -> str:
    """The precisions that really ran: ``int8 9, fp32 1``."""
    if any(note.startswith(NOT_RUN) for note in entry.notes):
        return "not run"
    return ", ".join(f"{name} {count}" for name, count in entry.executed.items()) or "–"


def verdict(entry: Entry) -> str:
    """The budget in words."""
    if not entry.budget:
        return "none set"
    unknown = [str(row["metric"]) for row in entry.budget if row["met"] is None]
    told = {"missed": [name + _mark(entry, name) for name in entry.missed], "unknown": unknown}
    marks = "".join(dict.fromkeys(_mark(entry, str(row["metric"])) for row in entry.budget))
    return "; ".join(f"{word}: {', '.join(names)}" for word, names in told.items() if names) or f"met{marks}"


def _mark(entry: Entry, name: str) -> str:
    """Of the kind of figure that keeps or breaks a promise."""
    found = entry.metrics.get(name)
    return MARKS[found.kind] if found else ""
