"""Name the nearest known word for one that is unknown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word nearest to ``word``, or None when nothing is near.

    Case is ignored, and ``-`` and ``_`` count as the same character.
    """
    folded = {_fold(name): name for name in sorted(known)}
    found = difflib.get_close_matches(_fold(word), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"did you mean 'x'?"``, or an empty string when nothing is near."""
    name = nearest(word, known)
    return f"did you mean '{name}'?" if name else ""


def _fold(word: str) -> str:
    return word.lower().replace("-", "_")
