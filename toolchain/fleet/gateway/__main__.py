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
from profiles.exit_codes import exit_code
from toolchain.fleet.gateway.commands import COMMANDS, reason_of
from toolchain.fleet.gateway.place import Place


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is that of :mod:`profiles.exit_codes`."""
    logging.getLogger("smpclient").setLevel(logging.CRITICAL)  # what it would print is in our errors
    options = _parser().parse_args(words)
    try:
        answer = COMMANDS[options.command](_place(options), options.slot, _say)
    except EdgewrightError as error:
        told = {each: getattr(error, each) for each in ("wanted", "seen", "allowed", "next_step")}
        again = isinstance(error, UnreachableError)
        print(json.dumps({"reason": reason_of(options.command, error), "again": again, "error": told}))
        print(error, file=sys.stderr)
        return exit_code(error)
    print(json.dumps(answer))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m toolchain.fleet.gateway", description=__doc__)
    parser.add_argument("command", choices=tuple(COMMANDS))
    parser.add_argument("slot", type=Path, nargs="?", help="a slot of the agent; 'status' and 'back' go without")
    for each in dataclasses.fields(Place):
        kind = {"Path": Path, "float": float}.get(str(each.type), str)
        needed = each.default is dataclasses.MISSING
        parser.add_argument(f"--{each.name}", type=kind, required=needed, default=None if needed else each.default)
    return parser


def _place(options: argparse.Namespace) -> Place:
    if options.slot is None and options.command not in ("status", "back"):
        raise ConfigError(f"'{options.command}' needs a slot", seen="none", allowed="a folder with a signed image")
    return Place(**{each.name: getattr(options, each.name) for each in dataclasses.fields(Place)})


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
