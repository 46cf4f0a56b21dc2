"""``edgewright fleet token``."""

from __future__ import annotations

import argparse

from profiles.arguments import count
from toolchain.cli.commands.fleet.state import duration, moment, opened_store
from toolchain.cli.output import print_json, print_line, print_table


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("action", choices=("make", "list", "revoke"), nargs="?", default="make")
    parser.add_argument("id", nargs="?", default="", metavar="ID", help="of the token to revoke, as the list shows it")
    parser.add_argument("--product", metavar="NAME", help="what devices may enrol for")
    parser.add_argument(
        "--channel",
        default="",
        metavar="NAME",
        help="the only channel to enrol for (default: any); a device may later report another one of its product",
    )
    parser.add_argument("--uses", type=count, default=1, metavar="N", help="so many devices (default: 1)")
    parser.add_argument(
        "--lasts", type=duration, default=86400.0, metavar="TIME", help="such as 24h, 7d (default: 24h)"
    )
    parser.add_argument("--note", default="", help="for people")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Make a token that devices enrol with, list those that are left, or revoke one."""
    return {"make": _make, "list": _list, "revoke": _revoke}[args.action](args)


def _make(args: argparse.Namespace) -> int:
    import time

    from profiles.errors import ConfigError
    from toolchain.fleet.documents import checks

    if not args.product:
        raise ConfigError("a token is for one product", seen="no --product", next_step="add --product NAME")
    try:
        checks.name(args.product, "a product")
        checks.name(args.channel or "any", "a channel")
    except ValueError as error:
        raise ConfigError("wanted a name", seen=str(error)) from error
    with opened_store(args) as store:
        token = store.make_token(
            args.product, channel=args.channel, uses=args.uses, now=time.time(), lasts=args.lasts, note=args.note
        )
    if args.json:
        print_json({"token": token, "product": args.product, "channel": args.channel, "uses": args.uses})
    else:
        print_line(token)
    return 0


def _list(args: argparse.Namespace) -> int:
    import dataclasses

    with opened_store(args) as store:
        rows = store.tokens()
    if args.json:
        print_json([dataclasses.asdict(row) for row in rows])
        return 0
    cells = [
        [row.id, row.product, row.channel or "any", str(row.left), moment(row.made), moment(row.expires), row.note]
        for row in rows
    ]
    print_table(["id", "product", "channel", "uses left", "made (UTC)", "expires (UTC)", "note"], cells)
    return 0


def _revoke(args: argparse.Namespace) -> int:
    with opened_store(args) as store:
        store.revoke_token(args.id)
    print_line(f"token {args.id} is gone; devices that it enrolled stay")
    return 0
