"""Entry point: parse, dispatch, and turn errors into words and exit codes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from targets.program import guarded
from toolchain.cli.parser import COMMANDS, parse, parser

__all__ = ["COMMANDS", "main", "parser"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)

    def act() -> int:
        args = parse(words)
        status: int = importlib.import_module(f"toolchain.cli.commands.{args.command}").run(args)
        return status

    return guarded("edgewright", act, debug="--debug" in words)


if __name__ == "__main__":
    sys.exit(main())
