"""Keep vendors' chatter away from our output, but at hand when something fails."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from profiles.errors import EdgewrightError, ToolCrashError


class Chatter:
    """What was printed while quiet."""

    def __init__(self) -> None:
        self.text = ""

    def tail(self, lines: int = 3) -> str:
        """The last lines that are not empty."""
        return " | ".join([line.strip() for line in self.text.splitlines() if line.strip()][-lines:])


@contextlib.contextmanager
def quiet() -> Iterator[Chatter]:
    """Send standard output and error, of Python and of native code, to a file while inside.

    Not for use by two threads at a time: file descriptors belong to the whole process.
    """
    chatter = Chatter()
    with tempfile.TemporaryFile() as sink:
        sys.stdout.flush()
        sys.stderr.flush()
        saved = [(fd, os.dup(fd)) for fd in (1, 2)]
        try:
            for fd, _ in saved:
                os.dup2(sink.fileno(), fd)
            with _python_streams():
                yield chatter
        finally:
            for fd, copy in saved:
                os.dup2(copy, fd)
                os.close(copy)
            sink.seek(0)
            chatter.text = sink.read().decode(errors="replace")


@contextlib.contextmanager
def in_our_words(wanted: str) -> Iterator[None]:
    """Be quiet inside, and let whatever a vendor's library raises become one error of ours.

    Args:
        wanted: what the library was asked for, as a sentence without a full stop.

    Raises:
        ToolCrashError: with the library's exception and its last words; our own errors pass as they
            are, and so do the operating system's (a full disk).
    """
    with quiet() as chatter:
        try:
            yield
        except (EdgewrightError, OSError, MemoryError):
            raise
        except Exception as error:  # vendors' exceptions have no common root
            caught = error
        else:
            return
    said = " ".join(f"{type(caught).__name__}: {caught} {chatter.tail(1)}".split())
    raise ToolCrashError(wanted, seen=said) from caught


@contextlib.contextmanager
def _python_streams() -> Iterator[None]:
    """Point Python's own streams at the descriptors, whatever stood in for them (a test's capture)."""
    with (
        open(1, "w", closefd=False, buffering=1) as out,
        open(2, "w", closefd=False, buffering=1) as err,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        yield
