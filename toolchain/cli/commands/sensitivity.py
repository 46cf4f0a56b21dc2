"""``edgewright sensitivity``."""

from __future__ import annotations

import argparse
from pathlib import Path

from profiles.arguments import count
from profiles.errors import ConfigError
from toolchain.cli.common import add_model_options, read_project
from toolchain.cli.output import print_json, print_line, print_table
from toolchain.streams import tell

PARTS = ("prune", "rank")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    add_model_options(parser, many=True)
    parser.add_argument("--only", choices=PARTS, help="pruning or ranks only (default: both)")
    parser.add_argument(
        "--shares", type=shares, default=(0.25, 0.5, 0.75), metavar="S,S", help="what goes (default: 0.25,0.5,0.75)"
    )
    parser.add_argument(
        "--samples", type=count, default=1000, metavar="N", help="training samples to score on (default: 1000)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("sensitivity.html"), metavar="FILE", help="the page with the curves"
    )
    parser.add_argument("--no-cache", action="store_true", help="score everything again, and keep nothing")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def shares(text: str) -> tuple[float, ...]:
    """``0.25,0.5`` as numbers.

    Raises:
        ConfigError: something else, or a share that is not between 0 and 1.
    """
    try:
        found = tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError:
        found = ()
    if not found or not all(0 < share < 1 for share in found):
        raise ConfigError(
            "--shares needs numbers with commas between them",
            seen=repr(text),
            allowed="numbers above 0 and below 1",
            next_step="write for example --shares 0.25,0.5,0.75",
        )
    return found


def run(args: argparse.Namespace) -> int:
    """Score one layer at a time; an interrupted run goes on where it was stopped."""
    from targets.files import write_bytes
    from toolchain.cache import open_cache
    from toolchain.progress import Progress
    from toolchain.report.sensitivity import TITLES, sensitivity_page, sentences, table
    from toolchain.steps.sensitivity import Wishes, sensitivity

    project = read_project(args)
    wishes = Wishes((args.only,) if args.only else PARTS, args.shares, args.samples)
    with Progress(quiet=args.quiet) as progress, open_cache(reuse=not args.no_cache, note=progress.note) as cache:
        found = sensitivity(project, cache, progress, wishes)
    write_bytes(args.out, sensitivity_page(found).encode())
    if args.json:
        print_json(found.as_dict())
        return 0
    for part in wishes.parts:
        columns, rows = table(found, part)
        print_table(columns, rows, title=TITLES[part], right=columns[1:])
    for sentence in sentences(found, wishes.parts):
        print_line(sentence)
    if not args.quiet:
        tell(f"curves: {args.out}")
    return 0
