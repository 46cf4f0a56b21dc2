"""``edgewright-agent``: the program on the device."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from targets.program import guarded
from toolchain.fleet.agent.cli import PROGRAM, parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)

    def act() -> int:
        args = parse(words)
        from toolchain.fleet.agent.commands import COMMANDS  # after the help: TUF takes its time

        return COMMANDS[args.command](args)

    return guarded(PROGRAM, act, debug="--debug" in words)


if __name__ == "__main__":
    sys.exit(main())
