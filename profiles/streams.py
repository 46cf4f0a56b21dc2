"""Standard output and standard error, also where nobody listens, the disk is full, or there is none."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from profiles.errors import OutputError


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Make sure that there are standard streams, and that all output has arrived at the end.

    Raises:
        OutputError: what it leads to takes no more.
    """
    with contextlib.ExitStack() as stack:
        if sys.stdout is None:  # the user closed it
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
        if sys.stderr is None:
            stack.enter_context(contextlib.redirect_stderr(stack.enter_context(open(os.devnull, "w"))))
        yield
        write("")


def write(text: str) -> None:
    """Write to standard output now; a reader who has gone away is no error.

    Raises:
        OutputError: what it leads to takes no more.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        give_up(sys.stdout)
    except OSError as error:
        give_up(sys.stdout)
        raise OutputError(
            "cannot write to standard output",
            seen=error.strerror or str(error),
            next_step="free some space, or send it elsewhere",
        ) from error


def tell(text: str) -> None:
    """One line on standard error now; a reader who has gone away is no error."""
    if sys.stderr is None:
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        give_up(sys.stderr)


def give_up(stream: TextIO) -> None:
    """Send what is still to come nowhere, so that closing the stream does not fail too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)
