"""What was found of one layer at one strength, and the layers that can be asked about."""

from __future__ import annotations

import dataclasses
from typing import Any

PRUNE, RANK = "prune", "rank"
SHARES = (0.25, 0.5, 0.75)


@dataclasses.dataclass(frozen=True)
class Site:
    """A layer (or a group of layers whose channels are coupled) with ``size`` channels or ranks."""

    part: str
    layer: str
    size: int

    def left(self, share: float) -> int:
        """How many are left when ``share`` of them goes: at least one."""
        return max(1, self.size - round(share * self.size))


@dataclasses.dataclass(frozen=True)
class Point:
    """Accuracy, from 0 to 1, with ``left`` of a site's channels or ranks, when ``share`` of them should go."""

    part: str
    layer: str
    share: float
    size: int
    left: int
    accuracy: float

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return dataclasses.asdict(self)
