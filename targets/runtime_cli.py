"""The command line of ``edgewright-runtime``. Travels to the device: the standard library only."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from profiles.arguments import count, seconds
from profiles.errors import ConfigError
from profiles.exit_codes import MEANINGS
from profiles.suggest import did_you_mean

PROGRAM = "edgewright-runtime"
#: Command to one line of help.
COMMANDS = {
    "build": "compile a bundle's engines on this machine and check its golden outputs",
    "verify": "check a bundle's golden outputs on this machine",
    "profile": "check a bundle's golden outputs, then measure it",
    "run": "run a bundle on inputs of one's own",
    "info": "say what this machine has: GPU, driver, libraries, kept engines",
    "health": "end with 0 when this machine can run bundles (for a container's health check)",
    "engines": "list or remove the engines that were compiled here",
}


class Parser(argparse.ArgumentParser):
    """Argparse whose refusals are our errors."""

    def error(self, message: str) -> NoReturn:
        """Wrong usage.

        Raises:
            ConfigError: always.
        """
        words = self.prog.removeprefix(PROGRAM).strip()
        raise ConfigError(f"{words}: {message}" if words else message, next_step=f"run: {self.prog} --help")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line as data.

    Raises:
        ConfigError: an unknown command or option, or a value that cannot be.
    """
    first = next((word for word in words if not word.startswith("-")), "")
    if first and first not in COMMANDS:
        raise ConfigError(
            "wanted a command",
            seen=repr(first),
            allowed=", ".join(COMMANDS),
            next_step=did_you_mean(first, COMMANDS) or f"run: {PROGRAM} --help",
        )
    found = parser().parse_args(list(words))
    if not found.command:
        raise ConfigError("wanted a command", seen="none", allowed=", ".join(COMMANDS), next_step=f"run: {PROGRAM} -h")
    return found


def parser() -> Parser:
    """The whole parser."""
    codes = "\n".join(f"  {code:<4} {meaning.partition(';')[0]}" for code, meaning in MEANINGS.items())
    top = Parser(
        prog=PROGRAM,
        description="Build, check and measure Edgewright bundles on the device itself.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_debug(top, False)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name, text in COMMANDS.items():
        child = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
        _arguments(name, child)
        _add_debug(child, argparse.SUPPRESS)
    return top


def _add_debug(parser: argparse.ArgumentParser, default: object) -> None:
    parser.add_argument("--debug", action="store_true", default=default, help="show the traceback of an error")


def _arguments(name: str, child: argparse.ArgumentParser) -> None:
    if name in ("build", "verify", "profile", "run"):
        child.add_argument("bundle", metavar="BUNDLE", type=Path, help="a bundle folder; it may be read-only")
    if name == "build":
        child.add_argument("--rebuild", action="store_true", help="compile even if a fitting engine is kept")
    if name == "profile":
        child.add_argument("--runs", type=count, metavar="N", help="timed inferences (default: by time)")
        child.add_argument(
            "--seconds", type=seconds, default=1.0, metavar="S", help="measure at least this long (default: 1)"
        )
        child.add_argument("--out", type=Path, metavar="FILE", help="write the profile to this file, as JSON")
    if name == "run":
        child.add_argument("--inputs", type=Path, required=True, metavar="FILE.npz", help="samples, stacked, by input")
        child.add_argument("--outputs", type=Path, required=True, metavar="FILE.npz", help="where outputs are written")
    if name == "engines":
        child.add_argument("action", choices=("list", "prune"), help="prune removes what this machine cannot load")
        child.add_argument("--all", action="store_true", help="prune every engine")
    if name not in ("run", "health"):
        child.add_argument("--json", action="store_true", help="print JSON on standard output")
    child.add_argument("--quiet", action="store_true", help="no progress on standard error")
