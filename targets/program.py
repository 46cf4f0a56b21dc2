"""The frame around a command: streams, signals, and errors as words and exit codes. Shared by all our programs."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from profiles.errors import ConfigError, EdgewrightError
from profiles.exit_codes import INTERRUPTED, OUR_FAULT, TERMINATED, exit_code
from profiles.streams import standard_streams, tell
from targets.files import DISK, output_error


class Terminated(KeyboardInterrupt):
    """SIGTERM: end as after Ctrl-C, so that everything is cleaned up."""


def guarded(name: str, act: Callable[[], int], *, debug: bool) -> int:
    """Carry out one command of the program ``name`` and return its exit code; no traceback unless ``debug``."""
    try:
        with standard_streams(), _terminable():
            return act()
    except EdgewrightError as error:
        return _report(name, error, debug)
    except KeyboardInterrupt as error:
        terminated = isinstance(error, Terminated)
        tell(f"{name}: {'terminated' if terminated else 'interrupted'}")
        return TERMINATED if terminated else INTERRUPTED
    except OSError as error:
        return _report(name, _from_os(error), debug, error)
    except Exception as error:
        if debug:
            raise
        tell(
            f"{name}: our fault: {type(error).__name__}: {error}\n"
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


def _report(name: str, error: EdgewrightError, debug: bool, cause: BaseException | None = None) -> int:
    if debug:
        import traceback

        traceback.print_exception(cause or error)
    tell(f"{name}: {error}")
    return exit_code(error)


def _from_os(error: OSError) -> EdgewrightError:
    """A refusal of the operating system that nobody below has put into words."""
    if error.errno in DISK:
        return output_error(Path(error.filename or os.getcwd()), error)
    where = f" {error.filename}" if error.filename else " a file"
    return ConfigError(f"cannot use{where}", seen=error.strerror or str(error), next_step="check the path")
