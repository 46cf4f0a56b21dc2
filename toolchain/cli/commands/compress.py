"""``edgewright compress``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from profiles.arguments import count
from toolchain.cli.common import add_model_options, read_project
from toolchain.cli.output import print_json
from toolchain.streams import tell

if TYPE_CHECKING:
    from toolchain.compression import Options


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    add_model_options(parser, many=True)
    parser.add_argument(
        "--out", type=Path, default=Path("compressed"), metavar="DIR", help="where the model goes (default: compressed)"
    )
    parser.add_argument("--runs", type=count, metavar="N", help="timed inferences per model (default: by time)")
    parser.add_argument("--no-profile", action="store_true", help="do not measure between the steps")
    parser.add_argument("--no-cache", action="store_true", help="do every step again, and keep none")
    parser.add_argument("--json", action="store_true", help="print rows.json on standard output")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Run the recipe; an interrupted one goes on where it was stopped when it is run again."""
    from toolchain.cli.compress_tables import print_rows
    from toolchain.compression import run_recipe
    from toolchain.progress import Progress

    project = read_project(args)
    with Progress(quiet=args.quiet) as progress:
        result = run_recipe(project, _options(args), progress)
    if args.json:
        print_json(result.as_dict())
        return 0
    print_rows(result.rows)
    if not args.quiet:
        tell(f"model: {result.files['program']}; pictures: {result.files['page']}")
    return 0


def _options(args: argparse.Namespace) -> Options:
    from profiles.sampling import Settings
    from toolchain.compression import Options

    return Options(args.out, not args.no_cache, None if args.no_profile else Settings(runs=args.runs))
