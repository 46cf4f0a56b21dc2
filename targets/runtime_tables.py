"""What ``edgewright-runtime`` prints for people: plain columns. Travels to the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from profiles.measurement import Metric
from profiles.profiler import Profile
from profiles.units import format_quantity

Rows = Sequence[Sequence[str]]


def columns(head: Sequence[str], rows: Rows) -> str:
    """Columns of text, two spaces apart; nothing for no rows."""
    if not rows:
        return ""
    lines = [list(head), *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    text = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
    return "\n".join(text) + "\n"


def build_text(rows: Sequence[Mapping[str, Any]], golden_error: float) -> str:
    """Where the engines are, and how the golden outputs compare."""
    table = columns(
        ["batch", "size", "engine"],
        [[str(row["batch"]), format_quantity(row["size"], "B"), str(row["engine"])] for row in rows],
    )
    return f"{table}golden outputs: as recorded (largest difference {golden_error:.4g})\n"


def profile_text(profile: Profile) -> str:
    """Machine, figures, batches, layers and notes."""
    parts = [
        f"{profile.machine['description']}\n",
        columns(["metric", "value", "kind", "how, or why not"], _metric_rows(profile.metrics)),
        columns(
            ["batch", "metric", "value", "kind"],
            [[str(point.batch), *row[:3]] for point in profile.batches for row in _metric_rows(point.metrics)],
        ),
        columns(
            ["layer", "operator", "precision", "time"],
            [[row.name, row.op, row.precision, shown(row.metrics.get("latency_p50"))] for row in profile.layers],
        ),
        "".join(f"note: {note}\n" for note in (*profile.notes, *profile.machine["disturbances"])),
    ]
    return "\n".join(part for part in parts if part)


def _metric_rows(metrics: Mapping[str, Metric]) -> list[list[str]]:
    return [
        [name, shown(metric), metric.kind.value, cut(metric.method or metric.reason)]
        for name, metric in metrics.items()
    ]


def shown(metric: Metric | None) -> str:
    """A figure with its unit, or a dash."""
    return "-" if metric is None or metric.value is None else format_quantity(metric.value, metric.unit)


def cut(text: str, width: int = 72) -> str:
    """The beginning of a long text; JSON has all of it."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def info_text(event: Mapping[str, Any]) -> str:
    """The machine, and for every target its hardware, libraries and engines."""
    machine = event["machine"]
    rows = [["machine", machine["description"]], ["system", machine["system"] or "-"], ["python", machine["python"]]]
    rows += [["power mode", machine["power_mode"]]] if machine["power_mode"] else []
    text = columns(["what", "found"], rows)
    for name, found in event["targets"].items():
        table = columns(["what", "found"], _found_rows(found))
        text += f"\n{name}\n{table}\n{engines_text(found['engines'])}"
    return text


def _found_rows(found: Mapping[str, Any]) -> list[list[str]]:
    gpu = found["gpu"]
    if gpu:
        memory = format_quantity(gpu["memory"], "B")
        rows = [
            ["GPU", f"{gpu['name']}, compute capability {gpu['compute_capability']}, {memory}"],
            ["driver", gpu["driver"] or "does not tell"],
            ["CUDA of the driver", gpu["cuda"]],
        ]
    else:
        missing = found["gpu_missing"]
        rows = [["GPU", f"none: {missing['wanted']}; {missing['seen']}"], ["next", missing["next_step"]]]
    rows += [[name, version] for name, version in found["libraries"].items()] or [["library", "none"]]
    return [*rows, ["engines kept in", found["engines_kept_in"]]]


def engines_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line per kept engine."""
    if not rows:
        return "no engine is kept\n"
    words = {True: "yes", False: "no", None: "unknown"}
    table = []
    for row in rows:
        site = row["key"]["site"]
        made = f"{site['library']} {site['version']}, {site['driver']}, {site['gpu']} ({site['compute_capability']})"
        size = format_quantity(row["size"], "B")
        table.append([str(row["key"]["batch"]), size, words[row["usable"]], made, str(row["path"])])
    total = format_quantity(sum(row["size"] for row in rows), "B")
    return columns(["batch", "size", "usable here", "built with", "engine"], table) + f"{total} in all\n"
