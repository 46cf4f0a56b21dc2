"""``edgewright fleet serve``."""

from __future__ import annotations

import argparse

from toolchain.cli.commands.fleet.state import duration, opened_store


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8440, metavar="N", help="0 is any free one (default: 8440)")
    parser.add_argument(
        "--interval",
        type=duration,
        default=60.0,
        metavar="TIME",
        help="between two check-ins of a device, 6d at most (default: 60)",
    )
    parser.add_argument(
        "--every", type=duration, default=5.0, metavar="TIME", help="look so often at the rollouts (default: 5)"
    )
    parser.add_argument(
        "--page",
        choices=("auto", "everyone", "nobody"),
        default="auto",
        help="who sees /status (default: this machine alone, and not those who come by a proxy that names them)",
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is no port")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Serve the repository, take check-ins, move rollouts, show the status page; until ended."""
    from toolchain.fleet.home import open_home
    from toolchain.fleet.server.serving import Setup, serve

    home = open_home(args.home)
    with opened_store(args) as store:
        serve(home, store, Setup(args.host, args.port, args.interval, args.every, args.page))
    return 0
