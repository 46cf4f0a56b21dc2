"""What the operating system refuses, in our words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from profiles.errors import OutputError
from targets.files import DISK

__all__ = ["DISK", "refusals"]


@contextlib.contextmanager
def refusals(place: Path, only: tuple[int, ...] | None = None) -> Iterator[None]:
    """The operating system's refusals in our words; with ``only``, no others than these."""
    try:
        yield
    except OSError as error:
        if only is not None and error.errno not in only:
            raise
        raise OutputError(
            f"cannot write the cache at {place}",
            seen=str(error.strerror or error) + (f": {error.filename}" if error.filename else ""),
            next_step="free some space, set EDGEWRIGHT_CACHE to another folder, or use --no-cache",
        ) from error
