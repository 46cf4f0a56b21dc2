"""Multiples that channel counts should be of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from profiles.errors import UnsupportedError
from toolchain.compress.passes import Outcome


@dataclasses.dataclass(frozen=True)
class Rounding:
    """A multiple, who likes it, and whether the user asked for it."""

    multiple: int = 1
    source: str = ""
    fixed: bool = False


def rounded(run: Callable[[int], Outcome], wish: Rounding) -> Outcome:
    """Carry a pruning step out with the multiple that a device likes; a half, a quarter … where that is too coarse.

    Small layers have few multiples: a goal that they do not allow may still be reached with a finer one. What the user
    asked for stays as it is.

    Raises:
        UnsupportedError: the goal cannot be reached at all; of the finest multiple.
    """
    multiple = wish.multiple
    while True:
        try:
            outcome = run(multiple)
            break
        except UnsupportedError:
            if wish.fixed or multiple == 1:
                raise
            multiple //= 2
    if multiple == 1 and wish.multiple == 1:
        return outcome
    words = f"channel counts are multiples of {multiple}: {wish.source}"
    coarse = f"; with {wish.multiple} the goal cannot be reached" if multiple != wish.multiple else ""
    return dataclasses.replace(outcome, notes=(*outcome.notes, words + coarse))
