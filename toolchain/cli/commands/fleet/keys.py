"""``edgewright fleet keys``."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.cli.commands.fleet.shared import add_passphrase, open_repository, read_public
from toolchain.cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from toolchain.fleet.trust.rows import Row

ACTIONS = {
    "list": "show which keys sign what, where they are, and when signatures expire",
    "rotate": "replace the keys of roles by new ones",
    "revoke": "take a key out of every role, and make a new one in its place",
    "renew": "sign roles anew before they expire",
    "add": "let a token's or a cloud's key sign for a role too",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=type(parser))
    made = {}
    for name, text in ACTIONS.items():
        made[name] = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        made[name].add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        add_passphrase(made[name])
    made["list"].add_argument("--json", action="store_true", help="print JSON")
    made["rotate"].add_argument(
        "roles", nargs="+", metavar="ROLE", help="root, targets, snapshot, timestamp, releases or rollouts"
    )
    made["revoke"].add_argument("key", metavar="KEYID", help="its id, or the first 8 digits")
    made["renew"].add_argument("roles", nargs="*", metavar="ROLE", help="default: those of the online keys")
    made["add"].add_argument("role", metavar="ROLE", help="who it signs for")
    made["add"].add_argument("uri", metavar="URI", help="where it is, such as hsm:2 or gcpkms:…")
    made["add"].add_argument("public", type=Path, metavar="PUBLIC.pem", help="its public half")


def run(args: argparse.Namespace) -> int:
    """Carry out the action."""
    {"list": _list, "rotate": _rotate, "revoke": _revoke, "renew": _renew, "add": _add}[args.action](args)
    return 0


def _list(args: argparse.Namespace) -> None:
    rows = open_repository(args).roles()
    if args.json:
        print_json([dataclasses.asdict(row) for row in rows])
        return
    columns = ["role", "must sign", "key", "scheme", "is", "where", "version", "expires"]
    cells = [
        [row.role, str(row.threshold), row.keyid[:8], row.scheme, row.where, row.uri, str(row.version), row.expires]
        for row in rows
    ]
    print_table(columns, cells, right=["must sign", "version"])
    _expired(rows)
    for role, words in dict.fromkeys((row.role, row.ending) for row in rows if row.ends_soon and not row.expired):
        print_line(f"{role} {words}: edgewright fleet keys renew {role}")


def _expired(rows: list[Row]) -> None:
    for role in sorted({row.role for row in rows if row.expired}):
        print_line(f"{role} has expired, devices refuse it: edgewright fleet keys renew {role}")


def _rotate(args: argparse.Namespace) -> None:
    from toolchain.fleet.trust.passphrases import ask_for

    made = open_repository(args).rotate(*args.roles, new_passphrase=ask_for(args.passphrase_file, new=True))
    print_line(f"new keys sign for {', '.join(args.roles)}: {', '.join(key[:8] for key in made)}")
    print_line("the old ones were removed here; destroy all copies of them")


def _revoke(args: argparse.Namespace) -> None:
    from toolchain.fleet.trust.passphrases import ask_for

    made = open_repository(args).revoke(args.key, new_passphrase=ask_for(args.passphrase_file, new=True))
    print_line(f"{args.key[:8]} signs nothing any more; new: {', '.join(key[:8] for key in made) or 'none'}")
    print_line("devices refuse it from their next check for updates on")


def _renew(args: argparse.Namespace) -> None:
    from toolchain.fleet.trust.roles import ONLINE

    roles = args.roles or list(ONLINE)
    repository = open_repository(args)
    repository.renew(roles)
    print_line(f"signed anew: {', '.join(roles)}")
    _expired(repository.roles())


def _add(args: argparse.Namespace) -> None:
    made = open_repository(args).add_key(args.role, args.uri, read_public(args.public))
    print_line(f"{made[:8]} signs for {args.role} too")
