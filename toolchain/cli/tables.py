"""The table of a build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolchain.cli.output import legend, print_line, print_table, show, show_percent

if TYPE_CHECKING:
    from toolchain.summary import Entry

COLUMNS = ["bundle", "ran as", "p50", "p90", "p99", "memory", "size", "accuracy", "drop", "energy", "budget"]
_NUMBERS = ["p50", "p90", "p99", "memory", "size", "accuracy", "drop", "energy"]


#: Of firmware: what a processor with an operating system has no figures for.
FIRMWARE = {
    "instructions": "instructions", "vector": "instructions_mve", "cycles": "cycles", "flash": "flash",
    "code": "code_size", "constants": "weights_size", "RAM": "ram", "arena": "arena", "stack": "stack",
}  # fmt: skip


def print_entries(entries: Sequence[Entry]) -> None:
    """One row per bundle, a second table for firmware, and a legend for the marks that occur."""
    print_table(COLUMNS, [_row(entry) for entry in entries], right=_NUMBERS)
    firmware = [entry for entry in entries if "flash" in entry.metrics]
    if firmware:
        print_table(["firmware", *FIRMWARE], [_firmware_row(entry) for entry in firmware], right=list(FIRMWARE))
    kinds = {metric.kind for entry in entries for metric in entry.metrics.values()}
    notes = [legend(kinds)] if legend(kinds) else []
    if any(entry.stable is False for entry in entries):
        notes.append("! unstable run: see the notes in profile.json")
    if notes:
        print_line("; ".join(notes))


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


def _firmware_row(entry: Entry) -> list[str]:
    return [entry.name, *(show(entry.metrics.get(name)) for name in FIRMWARE.values())]


def ran_as(entry: Entry) -> str:
    """The precisions that really ran: ``int8 9, fp32 1``."""
    return ", ".join(f"{name} {count}" for name, count in entry.executed.items()) or "–"


def verdict(entry: Entry) -> str:
    """The budget in words."""
    if not entry.budget:
        return "none set"
    if entry.missed:
        return f"missed: {', '.join(entry.missed)}"
    unknown = [str(row["metric"]) for row in entry.budget if row["met"] is None]
    return f"unknown: {', '.join(unknown)}" if unknown else "met"
