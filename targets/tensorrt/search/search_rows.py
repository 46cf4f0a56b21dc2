"""What a placement search found: one row per candidate, as data for the manifest."""

from __future__ import annotations

import dataclasses
from typing import Any, Generic, TypeVar

C = TypeVar("C")

#: What became of a candidate.
DEFAULT = "default"
KEPT = "kept"
OVERTAKEN = "overtaken"
SLOWER = "not faster"
INACCURATE = "less accurate"
FAILED = "failed"
UNCONFIRMED = "not confirmed"
UNMEASURED = "not measured"


@dataclasses.dataclass(frozen=True)
class SearchRow:
    """One candidate.

    Attributes:
        name: of the candidate.
        verdict: one word or two, of the list above.
        why: a sentence on the verdict.
        against: the current best that it was timed against; empty when it was not timed.
        time: median over its rounds, in seconds.
        ratio: median of its time over the current best's, round by round.
        spread: lowest and highest of these ratios.
        loss: of accuracy, in the caller's unit; None where it was not asked for.
    """

    name: str
    verdict: str
    why: str
    against: str = ""
    time: float | None = None
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    loss: float | None = None


@dataclasses.dataclass(frozen=True)
class SearchResult(Generic[C]):
    """What the search found.

    Attributes:
        best: the candidate to use.
        name: of it.
        rows: one per candidate, in their order; the first is the default.
        gain: of the best over the default, 0.05 for 5 % less time; 0 when the default stays, None when nothing was
            timed.
        least_gain, allowed_loss, repeats: what the search was asked for.
    """

    best: C
    name: str
    rows: tuple[SearchRow, ...]
    gain: float | None
    least_gain: float
    allowed_loss: float
    repeats: int

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for the manifest."""
        return {
            "best": self.name,
            "measured": self.gain is not None,
            "gain": self.gain,
            "least_gain": self.least_gain,
            "allowed_loss": self.allowed_loss,
            "repeats": self.repeats,
            "rows": [dataclasses.asdict(row) for row in self.rows],
        }
