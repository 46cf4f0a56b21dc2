"""``edgewright fleet rollback``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from profiles.arguments import count
from toolchain.cli.commands.fleet.shared import add_passphrase, open_repository
from toolchain.cli.commands.fleet.state import add_channel, opened_store, steering
from toolchain.cli.commands.fleet.wish import add_wish, told, wish_of
from toolchain.cli.output import print_line

if TYPE_CHECKING:
    from toolchain.fleet.server.steering import Wish


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    add_channel(parser)
    parser.add_argument("--to", type=count, required=True, metavar="N", help="the version whose bundles come back")
    add_wish(parser, release=False, slower="not held: the bad release may have been the faster one")
    add_passphrase(parser)


def run(args: argparse.Namespace) -> int:
    """Stop what is underway at once, sign the older bundles as a new release, and roll that out.

    Versions only grow: a device never goes to a smaller one, so the old bundles come back under a new number.
    """
    from profiles.errors import ConfigError
    from toolchain.fleet.publish import repeat
    from toolchain.fleet.publish.pruning import check_whole

    repository = open_repository(args)
    versions = repository.versions(args.product)
    if args.to not in versions:
        known = ", ".join(map(str, versions)) or "none"
        raise ConfigError(f"wanted to go back to version {args.to} of {args.product}", seen="no such", allowed=known)
    check_whole(repository, args.product, args.to)
    with steering(args, repository) as steer:
        steer.check(_wish(args, max(versions) + 1))  # what is wrong is said before anything is stopped or signed
        if _goes_on(args):
            stopped = steer.act(args.product, args.channel, "abort", f"rollback to version {args.to}")
            print_line(f"{args.product}/{args.channel}: version {stopped.release} is {stopped.state}")
        release = repeat(repository.home, repository, args.product, args.to)
        print_line(f"version {release.version} has the bundles of version {args.to}")
        why = f"rollback: version {release.version} repeats {args.to}"
        wish = _wish(args, release.version)
        remarks = steer.remarks(wish)
        told(steer.start(wish, why=why), remarks)
    return 0


def _wish(args: argparse.Namespace, release: int) -> Wish:
    return wish_of(args, release, slower=None)


def _goes_on(args: argparse.Namespace) -> bool:
    with opened_store(args) as store:
        kept = store.rollout(args.product, args.channel)
    return kept is not None and kept.rollout.plan.state != "aborted"
