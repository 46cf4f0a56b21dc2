"""``edgewright-runtime``: build, check and measure bundles on the device itself.

Needs Python 3.10, numpy and the engine; it is installed with Edgewright, and is what a runtime zipapp does when it is
called with a command. Travels to the device.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from targets.program import guarded
from targets.runtime_cli import PROGRAM, parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)

    def act() -> int:
        args = parse(words)
        from targets.runtime_commands import COMMANDS  # after the help, because numpy takes its time

        return COMMANDS[args.command](args)

    return guarded(PROGRAM, act, debug="--debug" in words)


if __name__ == "__main__":
    sys.exit(main())
