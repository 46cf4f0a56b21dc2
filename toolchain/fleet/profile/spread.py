"""How alike devices of one model are, and which of them are outliers. Pure arithmetic."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

from profiles.measurement import percentile

#: A device is out of line where its modified z-score is beyond this (Iglewicz and Hoaglin, "How to Detect and Handle
#: Outliers", 1993, section 3.3), if there are enough devices of the model, and it is this share off their median.
MOST_SCORE, FEWEST, LEAST_SHARE = 3.5, 5, 0.05
RULE = (
    f"marked: |0.6745 (x - median) / MAD| > {MOST_SCORE:g} among {FEWEST} or more devices of one model, and at least "
    f"{LEAST_SHARE:.0%} off the median"
)
QUANTILES = (0.0, 25.0, 50.0, 75.0, 100.0)


@dataclasses.dataclass(frozen=True)
class Spread:
    """One figure across the devices of one model.

    Attributes:
        devices: how many have it.
        quantiles: minimum, quarter, median, three quarters, maximum, in the figure's own unit.
        deviation: the median of the absolute deviations from the median (MAD).
        scores: device to modified z-score; empty where there are too few devices.
    """

    devices: int
    quantiles: tuple[float, ...]
    deviation: float
    scores: Mapping[str, float]

    @property
    def median(self) -> float:
        """Of the devices."""
        return self.quantiles[2]


def spread(values: Mapping[str, float]) -> Spread:
    """The spread of a figure; ``values`` maps at least one device to its value."""
    found = sorted(values.values())
    middle = percentile(found, 50)
    deviation = statistics.median(abs(value - middle) for value in found)
    scores = {} if len(found) < FEWEST else {name: _score(value - middle, deviation) for name, value in values.items()}
    return Spread(len(found), tuple(percentile(found, q) for q in QUANTILES), deviation, scores)


def _score(off: float, deviation: float) -> float:
    """0.6745 makes the MAD of a normal distribution its standard deviation; without a MAD, any difference counts."""
    if not deviation:
        return 0.0 if not off else float("inf") if off > 0 else float("-inf")
    return 0.6745 * off / deviation


def outliers(found: Spread, values: Mapping[str, float]) -> list[str]:
    """Devices out of line by :data:`RULE`, the farthest off first."""
    off = {name: abs(values[name] - found.median) for name in found.scores}
    marked = [
        name
        for name, score in found.scores.items()
        if abs(score) > MOST_SCORE and off[name] >= LEAST_SHARE * abs(found.median)
    ]
    return sorted(marked, key=lambda name: (-off[name], name))


def by_model(models: Mapping[str, str], names: Sequence[str]) -> dict[str, list[str]]:
    """Model to its devices, both sorted."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        found.setdefault(models[name], []).append(name)
    return dict(sorted(found.items()))
