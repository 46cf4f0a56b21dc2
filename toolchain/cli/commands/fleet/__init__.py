"""``edgewright fleet``: one module per command, each with ``arguments`` and ``run`` like those of other commands."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

#: Command to the module of this package that carries it out, and one line of help. Add yours here.
FLEET = {
    "init": ("init", "make a fleet: its folder, its keys and an empty repository"),
    "publish": ("publish", "sign bundles as the next release of a product"),
    "keys": ("keys", "list, renew, replace or revoke the keys that sign"),
    "token": ("token", "make, list or revoke the tokens that devices enrol with"),
    "devices": ("devices", "list devices, show one with its history, revoke or forget one"),
    "rollout": ("rollout", "bring a release to a channel wave by wave; look on, pause, stop, explain"),
    "rollback": ("rollback", "bring the bundles of an older release back, as a new one"),
    "prune": ("prune", "remove files of old releases that no device can ask for any more"),
    "serve": ("serve", "a server for labs: repository, check-in, status page, and the mover of rollouts"),
    "nginx": ("nginx", "write the configuration of a production web server"),
    "profile": ("profile", "measure a bundle on many devices over ssh, and mark who is out of line"),
    "agent": ("agent", "write the agent as one file that devices run"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The folder of the fleet, and the commands with their options."""
    parser.add_argument(
        "--home", type=Path, default=Path("fleet"), metavar="DIR", help="the fleet's folder (default: fleet)"
    )
    commands = parser.add_subparsers(
        dest="fleet_command", metavar="COMMAND", required=True, parser_class=type(parser), help=", ".join(FLEET)
    )
    for name, (module, text) in FLEET.items():
        child = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        child.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        _module(module).arguments(child)


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    status: int = _module(FLEET[args.fleet_command][0]).run(args)
    return status


def _module(name: str) -> Any:
    return importlib.import_module(f"toolchain.cli.commands.fleet.{name}")
