"""``summary.json``: every metric of every device, in the one shape that all tools read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from profiles.measurement import METRIC_UNITS, Kind, Metric
from profiles.units import format_quantity
from toolchain.compress.rows import Row

SCHEMA = 1
FILE = "summary.json"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One bundle with its figures.

    Attributes:
        name: of the entry, which is the name of its folder.
        device, target, precision: what it was built for.
        bundle: the folder.
        metrics: by the names of ``METRIC_UNITS``.
        budget: rows of :func:`toolchain.budget.check_budget`.
        layers: per layer, execution order: name, op and metrics as data.
        executed: number of compute layers by the precision that really ran.
        stable: whether nothing spoke against the measurement; None when there was none.
        notes: sentences for people.
    """

    name: str
    device: str
    target: str
    precision: str
    bundle: Path
    metrics: Mapping[str, Metric]
    budget: Sequence[Mapping[str, Any]] = ()
    layers: Sequence[Mapping[str, Any]] = ()
    executed: Mapping[str, int] = dataclasses.field(default_factory=dict)
    stable: bool | None = None
    notes: tuple[str, ...] = ()

    @property
    def missed(self) -> list[str]:
        """Names of the budget's metrics that are missed."""
        return [str(row["metric"]) for row in self.budget if row["met"] is False]

    def misses(self) -> list[str]:
        """``local-cpu: latency_p50 7.1 ms, limit 5 ms`` for every missed limit."""
        return [
            f"{self.name}: {row['metric']} {self._show(row, 'value')}, limit {self._show(row, 'limit')}"
            for row in self.budget
            if row["met"] is False
        ]

    def _show(self, row: Mapping[str, Any], key: str) -> str:
        text = format_quantity(row[key], METRIC_UNITS[str(row["metric"])])
        found = self.metrics.get(str(row["metric"]))
        return f"{text} ({found.kind})" if key == "value" and found and found.kind is Kind.ESTIMATED else text

    def as_dict(self, root: Path) -> dict[str, Any]:
        """The shape of one entry; the bundle's path is relative to ``root``."""
        return {
            "device": self.device,
            "target": self.target,
            "precision": self.precision,
            "bundle": self.bundle.relative_to(root).as_posix(),
            "metrics": {name: metric.as_dict() for name, metric in self.metrics.items()},
            "budget": [dict(row) for row in self.budget],
            "layers": [dict(row) for row in self.layers],
        }


@dataclasses.dataclass(frozen=True)
class NotBuilt:
    """A bundle that would have been shown beside others and could not be made; ``why`` is a sentence for people."""

    device: str
    target: str
    precision: str
    why: str


@dataclasses.dataclass(frozen=True)
class BuildResult:
    """What a build made: the folder, an entry per bundle in the project's order, what was left out, and compression."""

    out: Path
    entries: tuple[Entry, ...]
    not_built: tuple[NotBuilt, ...] = ()
    compression: tuple[Row, ...] = ()

    @property
    def missed(self) -> list[str]:
        """Bundle, metric, figure and limit of every missed budget."""
        return [sentence for entry in self.entries for sentence in entry.misses()]

    def as_dict(self) -> dict[str, Any]:
        """The shape of ``summary.json``."""
        left_out = {"not_built": [dataclasses.asdict(item) for item in self.not_built]} if self.not_built else {}
        rows = {"compression": [row.as_dict() for row in self.compression]} if self.compression else {}
        return {"schema": SCHEMA, "entries": [entry.as_dict(self.out) for entry in self.entries], **left_out, **rows}


def layer_table(times: Sequence[Mapping[str, Any]], errors: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Per-layer times and per-layer errors as one list.

    Engines name fused layers in their own way; rows are joined where the names agree, and stand for
    themselves where they do not.
    """
    by_name = {str(row["name"]): dict(row) for row in errors}
    rows = [{**dict(row), **by_name.pop(str(row["name"]), {})} for row in times]
    return [*rows, *by_name.values()]
