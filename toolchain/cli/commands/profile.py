"""``edgewright profile``."""

from __future__ import annotations

import argparse
from pathlib import Path

from profiles.arguments import count, seconds
from toolchain.cli.output import print_json, print_line


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
    from toolchain.cli.profile_tables import notes, print_batches, print_gpus, print_layers, print_metrics
    from toolchain.progress import Progress

    with Progress(quiet=args.quiet) as progress:
        profile = toolchain.profile(
            args.bundle, via=args.via, python=args.python, runs=args.runs, seconds=args.seconds, progress=progress
        )
    if args.json:
        print_json(profile.as_dict())
        return 0
    print_metrics(profile)
    print_batches(profile)
    print_gpus(profile.machine)
    if args.layers:
        print_layers(profile)
    for note in notes(profile):
        print_line(f"note: {note}")
    return 0
