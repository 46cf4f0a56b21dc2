"""Entry point: parse, dispatch, and turn errors into words and exit codes."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

from profiles.errors import ConfigError, EdgewrightError
from toolchain.cli.exit_codes import INTERRUPTED, OUR_FAULT, TERMINATED, exit_code
from toolchain.cli.parser import COMMANDS, parse, parser
from toolchain.streams import standard_streams, tell

__all__ = ["COMMANDS", "main", "parser"]


class Terminated(KeyboardInterrupt):
    """SIGTERM: end as after Ctrl-C, so that everything is cleaned up."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        with standard_streams(), _terminable():
            args = parse(words)
            status: int = importlib.import_module(f"toolchain.cli.commands.{args.command}").run(args)
            return status
    except EdgewrightError as error:
        return _report(error, debug)
    except KeyboardInterrupt as error:
        terminated = isinstance(error, Terminated)
        tell(f"edgewright: {'terminated' if terminated else 'interrupted'}")
        return TERMINATED if terminated else INTERRUPTED
    except OSError as error:
        return _report(_from_os(error), debug, error)
    except Exception as error:
        if debug:
            raise
        tell(
            f"edgewright: our fault: {type(error).__name__}: {error}\n"
            "  next:    run again with --debug and report what it prints"
        )
        return OUR_FAULT


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end us in an orderly way while inside."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _report(error: EdgewrightError, debug: bool, cause: BaseException | None = None) -> int:
    if debug:
        import traceback

        traceback.print_exception(cause or error)
    tell(f"edgewright: {error}")
    return exit_code(error)


def _from_os(error: OSError) -> EdgewrightError:
    """A refusal of the operating system that nobody below has put into words."""
    from pathlib import Path

    from targets.files import DISK, output_error

    if error.errno in DISK:
        return output_error(Path(error.filename or os.getcwd()), error)
    where = f" {error.filename}" if error.filename else " a file"
    return ConfigError(f"cannot use{where}", seen=error.strerror or str(error), next_step="check the path")


if __name__ == "__main__":
    sys.exit(main())
