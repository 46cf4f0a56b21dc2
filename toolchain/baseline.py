"""How many times faster than plain PyTorch a bundle is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from profiles.measurement import Metric
from targets.registry import BASELINE

LATENCY = "latency_p50"


class Measured(Protocol):
    """What is compared: one bundle with its figures, in a summary as in a report."""

    @property
    def device(self) -> str:
        """The profile's name."""
        ...

    @property
    def target(self) -> str:
        """Its name."""
        ...

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """By the names of ``METRIC_UNITS``."""
        ...


def baseline_of(entry: Measured, entries: Sequence[Measured]) -> Measured | None:
    """What a bundle is compared with: the first baseline of its device; None where there is none."""
    return next((other for other in entries if other.target == BASELINE and other.device == entry.device), None)


def times_pytorch(entry: Measured, entries: Sequence[Measured]) -> float | None:
    """The baseline's median latency over the entry's own.

    None where there is no other bundle to compare with, where either has no figure, and where the two figures are of
    different kinds, because those are never held against each other.
    """
    base = baseline_of(entry, entries)
    if base is None or base is entry:
        return None
    before, after = base.metrics.get(LATENCY), entry.metrics.get(LATENCY)
    if before is None or after is None or before.kind is not after.kind:
        return None
    return before.value / after.value if before.value and after.value else None
