"""``edgewright fleet prune``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from toolchain.cli.commands.fleet.state import opened_store
from toolchain.cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from toolchain.fleet.publish.pruning import Survey


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument(
        "--keep",
        type=_whole,
        default=3,
        metavar="N",
        help="older releases of a product that stay, beside those that a rollout leads to, that a device runs, or that "
        "are newer than every rollout (default: %(default)s)",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would go, and change nothing")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of 0 or more")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Remove the files of releases that no device can ask for any more, or say which they are."""
    from toolchain.fleet.home import open_home
    from toolchain.fleet.server.retiring import look, prune
    from toolchain.fleet.trust.repository import Repository

    repository = Repository(open_home(args.home))
    with opened_store(args) as store:
        found = (look if args.dry_run else prune)(store, repository, args.keep)
    if args.json:
        print_json(_data(found, args.dry_run))
    else:
        _show(found, args.dry_run)
    return 0


def _data(found: Survey, dry: bool) -> dict[str, object]:
    import dataclasses

    releases = [dataclasses.asdict(each) for each in found.releases]
    counts = {"files": len(found.files), "bytes": found.bytes, "young": found.young}
    return {"removed": not dry, **counts, "releases": releases}


def _show(found: Survey, dry: bool) -> None:
    cells = [[each.product, str(each.version), each.stays or "goes", str(each.bytes or "–")] for each in found.releases]
    print_table(["product", "version", "stays, because", "bytes that go"], cells, right=["version", "bytes that go"])
    verb = "would go" if dry else "are gone"
    print_line(f"{len(found.files)} files, {found.bytes} bytes, {verb}" + (" without --dry-run" if dry else ""))
    if found.young:
        print_line(f"{found.young} more were written within the last day, and stay: somebody may be publishing them")
