"""Nothing that an exporter prints reaches the terminal; all of it is kept for error messages."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator

from targets.quiet import Chatter, quiet


@contextlib.contextmanager
def captured() -> Iterator[Chatter]:
    """Send prints, warnings and log records of this process into a log while inside.

    The log can be read after the block has ended. Not for two threads at a time (see ``targets/quiet.py``).
    """
    root = logging.getLogger()
    kept, level = list(root.handlers), root.level
    try:
        with quiet() as chatter, warnings.catch_warnings():
            root.handlers[:] = [logging.StreamHandler(sys.stderr)]
            yield chatter
    finally:
        root.handlers[:] = kept
        root.setLevel(level)
        _revive_handlers()


def _revive_handlers() -> None:
    """Point handlers that were made inside, and so write to a stream that is closed now, at standard error."""
    for logger in list(logging.root.manager.loggerDict.values()):
        for handler in logger.handlers if isinstance(logger, logging.Logger) else ():
            if isinstance(handler, logging.StreamHandler) and getattr(handler.stream, "closed", False):
                handler.stream = sys.stderr  # setStream would flush the closed one
