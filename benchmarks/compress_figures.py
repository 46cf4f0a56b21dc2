"""What the runs and the clocks of the compression benchmarks left behind, as one table of figures."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence

from benchmarks.common import middle
from benchmarks.compress_jobs import Site
from benchmarks.compress_rows import Row

#: A ratio of latencies whose whole range over the rounds is above this is a gain.
GAIN = 1.02


@dataclasses.dataclass(frozen=True)
class Figures:
    """One row, against the dense model that it starts from (or would have been).

    Attributes:
        row: what was done.
        accuracies: at the end, by seed, as shares of 1.
        drops: accuracy of the dense model of the same seed less that.
        params, macs, stored: shares left; ``nonzero`` that of parameters that are not zero, with the share of zeros
            of the weights (two axes or more) taken for that of all parameters.
        speed: by engine: dense time over this model's: median, low, high over the rounds.
        seconds: of the run with seed 0, and ``trained`` where.
        notes: what the method said.
    """

    row: Row
    accuracies: tuple[float, ...]
    drops: tuple[float, ...]
    params: float
    macs: float
    stored: float
    nonzero: float
    speed: Mapping[str, Mapping[str, float]]
    seconds: float
    trained: str
    notes: tuple[str, ...]

    @property
    def drop(self) -> float:
        """Mean over the seeds, in points."""
        return 100 * statistics.fmean(self.drops)

    @property
    def spread(self) -> float | None:
        """Standard deviation of the drop over the seeds, in points; None of one seed."""
        return 100 * statistics.stdev(self.drops) if len(self.drops) > 1 else None

    def gains(self, engine: str) -> bool | None:
        """Whether the model is measurably faster than the dense one; None where it was not measured."""
        found = self.speed.get(engine)
        return None if found is None else found["low"] > GAIN


def gather(rows: Sequence[Row], site: Site, baseline: str = "") -> list[Figures]:
    """All rows that have results, held against the row ``baseline``; by default the network's own dense one."""
    path = site.out / "latency.json"
    clocks = json.loads(path.read_text()) if path.exists() else {}
    made = [
        _figures(row, site, _base(site, baseline or row.baseline), clocks, baseline or row.baseline) for row in rows
    ]
    return [each for each in made if each is not None]


def _base(site: Site, baseline: str) -> dict[int, dict]:
    return {seed: found for seed in range(8) if (found := _result(site, baseline, seed))}


def _result(site: Site, name: str, seed: int) -> dict | None:
    path = site.out / "rows" / f"{name}-{seed}.json"
    return json.loads(path.read_text()) if path.exists() else None


def _figures(row: Row, site: Site, base: dict, clocks: dict, baseline: str) -> Figures | None:
    found = {seed: made for seed in range(row.seeds) if (made := _result(site, row.name, seed)) and seed in base}
    if not found:
        return None
    ends = {seed: made["rows"][-1] for seed, made in found.items()}
    first, start = next(iter(ends.values())), next(iter(base.values()))["rows"][-1]
    left = first["params"] - first["zeros"] * first["params"]
    return Figures(
        row=row,
        accuracies=tuple(end["accuracy"] for end in ends.values()),
        drops=tuple(base[seed]["rows"][-1]["accuracy"] - end["accuracy"] for seed, end in ends.items()),
        params=first["params"] / start["params"],
        macs=first["macs"] / start["macs"],
        stored=first["bytes"] / start["bytes"],
        nonzero=left / start["params"],
        speed={engine: _ratio(times, row.name, baseline) for engine, times in clocks.items() if row.name in times},
        seconds=next(iter(found.values()))["seconds"],
        trained=next(iter(found.values()))["machine"],
        notes=tuple(note for each in next(iter(found.values()))["rows"] for note in each["notes"]),
    )


def _ratio(times: Mapping[str, Sequence[float]], name: str, baseline: str) -> dict[str, float]:
    return middle([dense / mine for dense, mine in zip(times[baseline], times[name], strict=True)])
