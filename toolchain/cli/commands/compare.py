"""``edgewright compare``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from profiles.measurement import Kind, Metric, comparable
from toolchain.cli.output import legend, print_json, print_line, print_table, show

_SHOWN = (
    "latency_p50", "latency_p90", "latency_p99", "latency_events_p50", "latency_graph_p50", "cpu_time_p50",
    "peak_memory", "gpu_memory", "model_size", "kernels", "dram_bytes", "energy", "sqnr",
)  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument(
        "bundles", type=Path, nargs="+", metavar="BUNDLE", help="bundle folders; the first is the baseline"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """A column per bundle; ratios to the first one, where figures are of one kind."""
    found = {str(path): figures(path) for path in args.bundles}
    if args.json:
        print_json(
            {name: {key: metric.as_dict() for key, metric in metrics.items()} for name, metrics in found.items()}
        )
        return 0
    names = list(found)
    short = short_names(args.bundles)
    keys = [key for key in _SHOWN if any(key in metrics for metrics in found.values())]
    rows = [
        [key, *(_cell(found[names[0]].get(key), found[name].get(key), name == names[0]) for name in names)]
        for key in keys
    ]
    print_table(["metric", *short], rows, right=short)
    kinds = {metric.kind for metrics in found.values() for key, metric in metrics.items() if key in keys}
    print_line("; ".join(filter(None, ["ratio to the first bundle in brackets, where kinds agree", legend(kinds)])))
    return 0


def short_names(bundles: list[Path]) -> list[str]:
    """The folders' own names, or whole paths where two are the same."""
    names = [path.resolve().name for path in bundles]
    return names if len(set(names)) == len(names) else [str(path) for path in bundles]


def figures(bundle: Path) -> dict[str, Metric]:
    """All metrics that a bundle holds: from its files, and from its last profile if it has one."""
    import json

    from targets.artifact import PROFILE, load_artifact
    from toolchain.steps.figures import golden_metrics, size_metrics

    artifact = load_artifact(bundle)
    metrics: dict[str, Metric] = {**size_metrics(artifact), **golden_metrics(artifact)}
    path = bundle / PROFILE
    if path.is_file():
        data: dict[str, Any] = json.loads(path.read_text())
        metrics |= {name: Metric.from_dict(metric) for name, metric in data["metrics"].items()}
    return metrics


def _cell(first: Metric | None, metric: Metric | None, is_first: bool) -> str:
    text = show(metric)
    if is_first or first is None or metric is None or not comparable([first, metric]):
        return text
    if not first.value or metric.value is None or metric.kind is Kind.UNAVAILABLE or metric.unit == "dB":
        return text
    return f"{text} (×{metric.value / first.value:.2f})"
