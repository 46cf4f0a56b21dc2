"""``edgewright profile``."""

from __future__ import annotations

import argparse
from pathlib import Path

from toolchain.cli.output import print_json, print_line, print_table, show
from toolchain.cli.parser import count, seconds

#: What an engine may tell of a layer, and its column.
LAYER_FIGURES = {
    "latency_p50": "time", "instructions": "instructions", "instructions_mve": "vector", "cycles": "cycles",
}  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("bundle", type=Path, help="a bundle folder")
    where = "local|ssh://user@host:port|serial:///dev/PORT"
    parser.add_argument("--via", default="local", metavar=where, help="where to run (default: local)")
    parser.add_argument("--python", default="", metavar="PATH", help="Python on the other machine (default: python3)")
    parser.add_argument("--runs", type=count, metavar="N", help="timed inferences (default: by time)")
    parser.add_argument(
        "--seconds", type=seconds, default=1.0, metavar="S", help="measure at least this long (default: 1)"
    )
    parser.add_argument("--layers", action="store_true", help="show every layer")
    parser.add_argument("--json", action="store_true", help="print profile.json on standard output")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Check the golden outputs on that machine, measure, and keep the result in the bundle."""
    import toolchain
    from toolchain.progress import Progress

    with Progress(quiet=args.quiet) as progress:
        profile = toolchain.profile(
            args.bundle, via=args.via, python=args.python, runs=args.runs, seconds=args.seconds, progress=progress
        )
    if args.json:
        print_json(profile.as_dict())
        return 0
    rows = [
        [name, show(metric), metric.kind.value, metric.method or metric.reason]
        for name, metric in profile.metrics.items()
    ]
    print_table(
        ["metric", "value", "kind", "how, or why not"], rows, right=["value"], title=profile.machine["description"]
    )
    if args.layers:
        told = [name for name in LAYER_FIGURES if any(name in row.metrics for row in profile.layers)]
        table = [
            [row.name, row.op, row.precision, *(show(row.metrics.get(name)) for name in told)] for row in profile.layers
        ]
        columns = [LAYER_FIGURES[name] for name in told]
        print_table(["layer", "operator", "precision", *columns], table, right=columns)
    for note in (*profile.notes, *profile.machine["disturbances"]):
        print_line(f"note: {note}")
    return 0
