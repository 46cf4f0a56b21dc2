"""``edgewright fleet nginx``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from profiles.arguments import count
from toolchain.cli.output import print_line

if TYPE_CHECKING:
    from toolchain.fleet.nginx.config import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("--out", type=Path, metavar="FILE", help="write it there (default: standard output)")
    parser.add_argument(
        "--listen", action="append", default=[], metavar="[ADDRESS:]PORT", help="may be repeated (default: by TLS)"
    )
    parser.add_argument("--name", default="", metavar="HOST", help="the server's name (default: that of fleet.toml)")
    parser.add_argument("--certificate", type=Path, metavar="PEM", help="TLS: the certificate with its chain")
    parser.add_argument("--certificate-key", type=Path, metavar="PEM", help="TLS: its private key")
    parser.add_argument(
        "--upstream",
        default="127.0.0.1:8440",
        metavar="HOST:PORT",
        help="edgewright fleet serve (default: %(default)s)",
    )
    parser.add_argument(
        "--status-from",
        action="append",
        default=[],
        metavar="NETWORK",
        help="who may see the status page (default: none)",
    )
    parser.add_argument("--connections", type=count, default=64, metavar="N", help="of one address (default: 64)")
    parser.add_argument(
        "--checkins", type=count, default=50, metavar="N", help="check-ins per second of one address (default: 50)"
    )
    parser.add_argument(
        "--rate", type=count, default=0, metavar="B", help="bytes/s of one download (default: unlimited)"
    )
    parser.add_argument("--folder", type=Path, metavar="DIR", help="a whole nginx that keeps its files there (labs)")


def run(args: argparse.Namespace) -> int:
    """Write the configuration."""
    from targets.files import write_bytes
    from toolchain.fleet.nginx.config import render

    text = render(_settings(args))
    if args.out is None:
        print_line(text.rstrip("\n"))
        return 0
    write_bytes(args.out, text.encode())
    print_line(f"{args.out}: test it with nginx -t, then reload nginx")
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    from toolchain.fleet.home import open_home
    from toolchain.fleet.nginx.config import Settings

    home = open_home(args.home)
    tls = args.certificate is not None
    checkin = urlsplit(home.settings.server.checkin)
    return Settings(
        repository=home.repository,
        name=args.name or _name(urlsplit(home.settings.server.url).hostname),
        listen=tuple(args.listen) or (("443", "[::]:443") if tls else ("80", "[::]:80")),
        prefix=checkin.path or "/",
        upstream=args.upstream,
        certificate=args.certificate and args.certificate.absolute(),
        certificate_key=args.certificate_key and args.certificate_key.absolute(),
        status_from=tuple(args.status_from),
        checkins_per_second=args.checkins,
        burst=4 * args.checkins,
        connections=args.connections,
        rate=args.rate,
        folder=args.folder and args.folder.absolute(),
    )


def _name(host: str | None) -> str:
    """Of the server, unless the address has a number or nothing."""
    return "_" if not host or ":" in host or host.replace(".", "").isdecimal() else host
