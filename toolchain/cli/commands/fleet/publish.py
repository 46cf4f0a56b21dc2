"""``edgewright fleet publish``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from profiles.arguments import count
from toolchain.cli.commands.fleet.shared import add_passphrase, open_repository
from toolchain.cli.commands.fleet.state import steering
from toolchain.cli.commands.fleet.wish import add_wish, told, wish_of
from toolchain.cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from toolchain.fleet.documents.release import Release
    from toolchain.fleet.trust.repository import Repository


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument(
        "bundles", nargs="*", type=Path, metavar="BUNDLE", help="bundle folders, one per kind of device"
    )
    parser.add_argument("--product", required=True, metavar="NAME", help="what devices are enrolled for")
    parser.add_argument("--title", default="", help="for people")
    parser.add_argument("--notes", default="", help="for people")
    parser.add_argument(
        "--budget",
        action="append",
        default=[],
        metavar="NAME=LIMIT",
        help='what devices must keep, such as "latency=20 ms" (may be repeated; default: the budget of the project)',
    )
    parser.add_argument(
        "--repeat", type=count, metavar="VERSION", help="no bundles: those of an older release, as a new one"
    )
    parser.add_argument("--channel", metavar="NAME", help="begin a rollout there at once, with the options below")
    add_wish(parser, release=False)
    add_passphrase(parser)
    parser.add_argument("--json", action="store_true", help="print the release and its deltas as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Check, pack, and sign."""
    from toolchain.fleet.publish.budget import parse_limit

    limits = dict(parse_limit(text) for text in args.budget)
    repository = open_repository(args)
    if args.channel:  # what is wrong with the options is said before anything is signed
        with steering(args, repository) as steer:
            steer.check(wish_of(args, max(repository.versions(args.product), default=0) + 1))
    release = _published(args, repository, limits)
    _show(args, repository, release)
    if args.channel:
        with steering(args, repository) as steer:
            wish = wish_of(args, release.version)
            remarks = steer.remarks(wish)
            plan = steer.start(wish)
        if not args.json:
            told(plan, remarks)
    return 0


def _published(args: argparse.Namespace, repository: Repository, limits: dict[str, float]) -> Release:
    from profiles.errors import ConfigError
    from toolchain.fleet.publish import publish, repeat
    from toolchain.progress import Progress

    if args.repeat and (args.bundles or limits):
        raise ConfigError(
            "--repeat takes the bundles of an older release as they are",
            seen="bundles or --budget too",
            next_step="leave them out",
        )
    words = {"title": args.title, "notes": args.notes}
    with Progress(quiet=args.quiet) as progress, progress.step(f"publish {args.product}", numbered=False) as step:

        def tell(what: str, done: int, total: int) -> None:
            step.update(done, total, what)

        if args.repeat:
            return repeat(repository.home, repository, args.product, args.repeat, on_progress=tell, **words)
        return publish(
            repository.home, repository, args.bundles, product=args.product, limits=limits, on_progress=tell, **words
        )


def _show(args: argparse.Namespace, repository: Repository, release: Release) -> None:
    import dataclasses

    from toolchain.fleet.publish.savings import savings

    rows = savings(repository, release)
    if args.json:
        print_json({**dataclasses.asdict(release), "savings": [dataclasses.asdict(row) for row in rows]})
        return
    print_line(f"{release.product} version {release.version}: {release.title}")
    columns = ["bundle", "from version", "bytes in full", "bytes to fetch", "saved"]
    cells = [[row.bundle, str(row.base or "nothing"), str(row.full), str(row.fetch), row.share] for row in rows]
    print_table(columns, cells, right=columns[2:])
    if not args.channel:
        print_line(
            f"devices take it when a rollout says so: edgewright fleet rollout start --product {release.product}"
        )
