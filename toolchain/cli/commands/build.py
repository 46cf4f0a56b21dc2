"""``edgewright build``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from profiles.arguments import count
from profiles.errors import BudgetMissedError
from toolchain.cli.common import add_model_options, read_project
from toolchain.cli.output import print_json, print_line, print_table
from toolchain.streams import tell

if TYPE_CHECKING:
    from toolchain.project.models import Project
    from toolchain.summary import BuildResult


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    add_model_options(parser, many=True)
    parser.add_argument(
        "--out", type=Path, default=Path("build"), metavar="DIR", help="where bundles go (default: build)"
    )
    parser.add_argument("--jobs", type=count, default=1, metavar="N", help="bundles made at the same time (default: 1)")
    parser.add_argument("--runs", type=count, metavar="N", help="timed inferences per bundle (default: by time)")
    parser.add_argument(
        "--baseline", action="store_true", help="also build and measure plain PyTorch for every device, to compare with"
    )
    parser.add_argument("--no-profile", action="store_true", help="build and verify, but do not measure")
    parser.add_argument("--no-cache", action="store_true", help="do every step again, and keep none")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--json", action="store_true", help="print summary.json on standard output")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Build everything; a missed budget is an error after all bundles are there."""
    from profiles.sampling import Settings
    from toolchain.pipeline import Options, build
    from toolchain.progress import Progress

    project = read_project(args)
    if args.dry_run:
        return _dry_run(project, args)
    options = Options(args.out, args.jobs, not args.no_cache, Settings(runs=args.runs), not args.no_profile)
    with Progress(quiet=args.quiet) as progress:
        result = build(project, options, progress)
    if args.json:
        print_json(result.as_dict())
    else:
        _print(result, quiet=args.quiet)
    if result.missed:
        raise BudgetMissedError(
            "every bundle was built, and a budget is missed",
            seen="; ".join(result.missed),
            next_step=f"see {args.out / 'report.html'}",
        )
    return 0


def _print(result: BuildResult, *, quiet: bool) -> None:
    from toolchain.cli.compress_tables import print_rows
    from toolchain.cli.tables import print_entries
    from toolchain.report import verdicts

    if result.compression:
        print_rows(result.compression)
    print_entries(result.entries)
    for sentence in verdicts(result.out):
        print_line(sentence)
    if not quiet:
        tell(f"report: {result.out / 'report.html'}")


def _dry_run(project: Project, args: argparse.Namespace) -> int:
    from toolchain.dry_run import dry_run

    rows = dry_run(project, args.out, cache=not args.no_cache)
    if args.json:
        print_json({"schema": 1, "plan": rows})
        return 0
    print_table(["bundle", "device", "target", "precision", "what would happen"], [list(row.values()) for row in rows])
    return 0
