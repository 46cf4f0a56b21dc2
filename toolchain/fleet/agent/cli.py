"""The command line of ``edgewright-agent``, as data."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from profiles.errors import ConfigError
from profiles.exit_codes import MEANINGS
from profiles.suggest import did_you_mean

PROGRAM = "edgewright-agent"
TOKEN = "EDGEWRIGHT_FLEET_TOKEN"
DEFAULT = Path("/etc/edgewright/agent.toml")
#: Command to one line of help.
COMMANDS = {
    "enroll": "make this device's key, and ask the server to take it into the fleet",
    "run": "look for releases, install, check, switch, and go back when something is wrong",
    "status": "say what runs, and how the newest install went",
    "install-unit": "print or write the systemd unit",
}


class Parser(argparse.ArgumentParser):
    """Argparse whose refusals are our errors."""

    def error(self, message: str) -> NoReturn:
        """Wrong usage.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{self.prog}: {message}", next_step=f"run: {self.prog} --help")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line as data.

    Raises:
        ConfigError: an unknown command or option.
    """
    first = next((word for word in words if not word.startswith("-")), "")
    if first and first not in COMMANDS:
        raise ConfigError(
            "wanted a command", seen=repr(first), allowed=", ".join(COMMANDS), next_step=did_you_mean(first, COMMANDS)
        )
    found = parser().parse_args(list(words))
    if not found.command:
        raise ConfigError("wanted a command", seen="none", allowed=", ".join(COMMANDS), next_step=f"run: {PROGRAM} -h")
    return found


def parser() -> Parser:
    """The whole parser."""
    codes = "\n".join(f"  {code:<4} {meaning.partition(';')[0]}" for code, meaning in MEANINGS.items())
    top = Parser(
        prog=PROGRAM, description="Edgewright's agent on a device.", epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name, text in COMMANDS.items():
        child = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
        child.add_argument("--config", type=Path, default=DEFAULT, metavar="FILE", help=f"default: {DEFAULT}")
        child.add_argument("--debug", action="store_true", help="show the traceback of an error")
        _arguments(name, child)
    return top


def _arguments(name: str, child: argparse.ArgumentParser) -> None:
    if name == "enroll":
        child.add_argument(
            "--token-file", type=Path, metavar="FILE", help=f"holds the token; else the variable {TOKEN}"
        )
    if name == "run":
        child.add_argument("--once", action="store_true", help="one round, and end: for cron")
        child.add_argument("--retry", action="store_true", help="try versions again that went wrong on this device")
    if name == "status":
        child.add_argument("--json", action="store_true", help="print JSON on standard output")
    if name == "install-unit":
        child.add_argument("--out", type=Path, metavar="FILE", help="write it there instead of printing it")
        child.add_argument("--user", default="edgewright", metavar="NAME", help="who runs it (default: edgewright)")
