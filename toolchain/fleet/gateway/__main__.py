"""``python -m toolchain.fleet.gateway COMMAND SLOT --board NAME --smp serial:///… --line serial:///… --key FILE``.

The agent starts it for each step, so that a step can be ended, and the agent stays small; people may, too. JSON on
standard output, progress on standard error. ``SLOT`` is a folder with ``bundle/`` and the signed image.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from profiles.errors import ConfigError, EdgewrightError, UnreachableError
from profiles.streams import tell, write
from targets.program import guarded
from toolchain.fleet.agent.cli import Parser
from toolchain.fleet.gateway.commands import COMMANDS, reason_of
from toolchain.fleet.gateway.place import Place

PROGRAM = "python -m toolchain.fleet.gateway"


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is that of :mod:`profiles.exit_codes`."""
    logging.getLogger("smpclient").setLevel(logging.CRITICAL)  # what it would print is in our errors
    given = list(sys.argv[1:] if words is None else words)
    return guarded(PROGRAM, lambda: _act(_parser().parse_args(given)), debug="--debug" in given)


def _act(options: argparse.Namespace) -> int:
    try:
        answer = COMMANDS[options.command](_place(options), options.slot, tell)
    except EdgewrightError as error:
        told = {each: getattr(error, each) for each in ("wanted", "seen", "allowed", "next_step")}
        again = isinstance(error, UnreachableError)
        write(json.dumps({"reason": reason_of(options.command, error), "again": again, "error": told}) + "\n")
        raise
    write(json.dumps(answer) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog=PROGRAM, description=__doc__, allow_abbrev=False)
    parser.add_argument("command", choices=tuple(COMMANDS))
    parser.add_argument("slot", type=Path, nargs="?", help="a slot of the agent; 'status' and 'back' go without")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    for each in dataclasses.fields(Place):
        kind = {"Path": Path, "float": float}.get(str(each.type), str)
        needed = each.default is dataclasses.MISSING
        parser.add_argument(f"--{each.name}", type=kind, required=needed, default=None if needed else each.default)
    return parser


def _place(options: argparse.Namespace) -> Place:
    if options.slot is None and options.command not in ("status", "back"):
        raise ConfigError(f"'{options.command}' needs a slot", seen="none", allowed="a folder with a signed image")
    return Place(**{each.name: getattr(options, each.name) for each in dataclasses.fields(Place)})


if __name__ == "__main__":
    sys.exit(main())
