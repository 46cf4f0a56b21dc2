"""The bundles of a build as one list, each with everything that was found about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from profiles.measurement import Kind, Metric
from targets.artifact import NOT_RUN
from toolchain.compress.rows import Row
from toolchain.report.shapes import Batch, BudgetLine, Layer, Manifest, NotBuilt, Placement, Profile
from toolchain.report.trace import Trace

#: Figures that only running a bundle gives.
RAN = ("latency_p50", "latency_events_p50", "cycles", "instructions")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One bundle with everything that was found about it.

    Attributes:
        number: 1 for the first entry of ``summary.json``; the page's anchor.
        device, target, precision, bundle: as in ``summary.json``.
        metrics: of the summary, completed by those of the profile.
        budget, layers: likewise.
        errors: float against quantized per layer, or None without ``layers.json``.
        manifest, profile: None where the file is absent.
        missing: sentences on absent files.
        memory_plan: the picture of the memory plan as SVG, where the bundle has one.
        trace: what each part of the device did when in one inference, where the engine tells.
    """

    number: int
    device: str
    target: str
    precision: str
    bundle: str
    metrics: Mapping[str, Metric] = dataclasses.field(default_factory=dict)
    budget: tuple[BudgetLine, ...] = ()
    layers: tuple[Layer, ...] = ()
    errors: tuple[Layer, ...] | None = None
    manifest: Manifest | None = None
    profile: Profile | None = None
    missing: tuple[str, ...] = ()
    memory_plan: bytes = b""
    trace: Trace | None = None

    @property
    def short(self) -> str:
        """Engine and precision."""
        return f"{self.target} {self.precision}"

    @property
    def label(self) -> str:
        """Engine, precision and device."""
        return f"{self.short} on {self.device}"

    @property
    def title(self) -> str:
        """The device's name for people, where the manifest tells it."""
        title = self.manifest.device.get("title") if self.manifest else None
        return str(title) if title else ""

    @property
    def stable(self) -> bool | None:
        """Whether the profiler called the run stable; None where it does not say."""
        return self.profile.stable if self.profile else None

    @property
    def not_run(self) -> str:
        """Why the bundle was compiled but never run; empty where it ran, if later and elsewhere, or nobody tells."""
        if self.profile and any(name in self.profile.metrics and self.profile.metrics[name].available for name in RAN):
            return ""
        executed = self.manifest.build.executed if self.manifest else ""
        return executed.partition(f"{NOT_RUN}: ")[2]

    @property
    def batches(self) -> tuple[Batch, ...]:
        """The batch sizes that were swept, smallest first."""
        return tuple(sorted(self.profile.batches, key=lambda row: row.batch)) if self.profile else ()

    @property
    def placement(self) -> Placement | None:
        """Where quantization was placed, and what else was tried; None where that is no question."""
        return self.manifest.build.placement if self.manifest else None

    @property
    def ran_as_asked(self) -> tuple[int, int]:
        """Compute layers that ran in the precision asked for, and all of them; (0, 0) where nobody tells."""
        counts = self.profile.executed if self.profile else {}
        return counts.get(self.precision, 0), sum(counts.values())

    @property
    def met(self) -> bool | None:
        """Whether all promises are kept; None where one cannot be judged, or there is none."""
        if any(line.met is False for line in self.budget):
            return False
        return True if self.budget and all(line.met for line in self.budget) else None

    def metric(self, name: str) -> Metric | None:
        """A figure with a value, or None."""
        found = self.metrics.get(name)
        return found if found is not None and found.available else None

    def value(self, name: str) -> float | None:
        """The value of a figure, or None."""
        found = self.metric(name)
        return found.value if found else None

    @property
    def spread(self) -> bool:
        """Whether the latency is one of runs that differ; a count of cycles at a clock is the same every time."""
        found = self.metric("latency_p50")
        return found is not None and bool(found.samples or self.metric("latency_p90") or self.metric("latency_p99"))

    @property
    def kind(self) -> Kind:
        """How the latency was obtained."""
        found = self.metric("latency_p50")
        return found.kind if found else Kind.UNAVAILABLE


@dataclasses.dataclass(frozen=True)
class Build:
    """A build folder, read."""

    folder: Path
    project: str
    created: str
    entries: tuple[Entry, ...]
    not_built: tuple[NotBuilt, ...] = ()
    compression: tuple[Row, ...] = ()
