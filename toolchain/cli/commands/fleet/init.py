"""``edgewright fleet init``."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from toolchain.cli.commands.fleet.shared import add_passphrase, read_public
from toolchain.cli.output import print_line


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    add_passphrase(parser)
    parser.add_argument("--url", metavar="URL", help="where devices will find the repository")
    parser.add_argument("--checkin", metavar="URL", help="where devices will check in")
    parser.add_argument(
        "--database", metavar="URL", help="where state is kept, without a password (default: sqlite:///fleet.db)"
    )
    parser.add_argument(
        "--keys",
        action="append",
        default=[],
        type=_size,
        metavar="ROLE=M/N",
        help="make N keys for a role, of which M must sign (default: root=2/3, others 1/1; may be repeated)",
    )
    parser.add_argument(
        "--external",
        nargs=3,
        action="append",
        default=[],
        metavar=("ROLE", "URI", "PUBLIC.pem"),
        help="sign for a role with a token or a cloud's key, such as: releases hsm:2 token.pem (may be repeated; root "
        "needs two or more)",
    )


def run(args: argparse.Namespace) -> int:
    """Make keys and an empty repository."""
    from toolchain.fleet.home import create_home
    from toolchain.fleet.settings import Database, Server, make_section
    from toolchain.fleet.trust.passphrases import ask_for
    from toolchain.fleet.trust.roles import ONLINE, ROLES

    _check_no_password(args.database or "")
    home = create_home(
        args.home,
        passphrase=ask_for(args.passphrase_file, new=True),
        server=make_section(Server, _given(args, "url", "checkin")),
        database=make_section(Database, {"url": args.database} if args.database else {}),
        external=[(role, uri, read_public(Path(path))) for role, uri, path in args.external],
        sizes=dict(args.keys),
    )
    offline = ", ".join(role for role in ROLES if role not in ONLINE)
    print_line(f"{home.folder}: a fleet, without releases so far")
    print_line(f"serve this folder: {home.repository}")
    print_line(f"devices start to trust: {home.folder / 'root.json'}")
    print_line(f"move the keys of {offline} from {home.keys} to media that are offline, and say in fleet.toml where")
    return 0


def _check_no_password(url: str) -> None:
    from profiles.errors import ConfigError

    if re.search(r"://[^@/?]*:[^?]*@|[?&](ssl)?password=", url):
        raise ConfigError(
            "--database must not hold a password: every user of this machine can read the arguments of a command",
            seen="an address with a password",
            allowed="an address without one",
            next_step="leave it out, and write it into fleet.toml after init, or have PGPASSFILE name a file with it",
        )


def _size(text: str) -> tuple[str, tuple[int, int]]:
    found = re.fullmatch(r"([a-z]+)=(\d{1,3})/(\d{1,3})", text, re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not like root=2/3")
    return found[1], (int(found[2]), int(found[3]))


def _given(args: argparse.Namespace, *names: str) -> dict[str, str]:
    """Options that were set."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}
