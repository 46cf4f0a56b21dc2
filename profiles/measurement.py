"""A number that says how it was obtained.

A :class:`Metric` has a value, an SI base unit and a :class:`Kind`. Kinds are never mixed in one
number nor ranked against each other unmarked, and a missing figure is never 0.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class Kind(str, enum.Enum):
    """How a figure was obtained."""

    MEASURED = "measured"  # on the device itself
    STAND_IN = "stand_in"  # run for real, but on another machine, which is named in the method
    SIMULATED = "simulated"  # executed by a simulator or an emulator of the device, which is named in the method
    ESTIMATED = "estimated"  # computed from a formula whose source is named in the method
    UNAVAILABLE = "unavailable"  # with the reason

    def __str__(self) -> str:
        return self.value


#: The metric names of ``summary.json`` and the unit of each.
METRIC_UNITS: Mapping[str, str] = {
    "accuracy": "1", "accuracy_drop": "1",
    "latency_p50": "s", "latency_p90": "s", "latency_p99": "s", "cpu_time_p50": "s", "throughput": "1/s",
    "latency_events_p50": "s", "latency_transfers_p50": "s", "latency_graph_p50": "s", "latency_compiled_p50": "s",
    "peak_memory": "B", "model_size": "B", "flash": "B", "code_size": "B", "weights_size": "B",
    "arena": "B", "ram": "B", "stack": "B",
    "gpu_memory": "B", "engine_memory": "B", "context_memory": "B", "kernels": "1",
    "instructions": "1", "instructions_mve": "1", "cycles": "1", "utilization": "1", "dram_bytes": "B",
    "energy": "J", "power": "W", "init_instructions": "1", "parity_max_error": "1", "sqnr": "dB",
    "params": "1", "macs": "1", "stored_size": "B",
    "luts": "1", "flip_flops": "1", "multipliers": "1", "block_rams": "1", "device_share": "1", "fmax": "Hz",
    "cycles_compute": "1", "cycles_load": "1", "cycles_store": "1", "cycles_stall": "1",
    "bytes_loaded": "B", "bytes_stored": "B", "bytes_program": "B", "peak_macs": "1", "peak_bytes": "B",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Metric:
    """One figure.

    Attributes:
        value: in SI base units; None exactly when the kind is unavailable.
        unit: ``s``, ``B``, ``J``, ``W``, ``Hz``, ``1``, ``1/s`` or ``dB``.
        kind: how it was obtained.
        method: the instrument, tool or formula, and for a stand-in the machine.
        reason: why it is unavailable.
        samples: the raw values behind a statistic, in the same unit.
        uncertainty: standard uncertainty (GUM, JCGM 100:2008, 2.3.1), in the same unit.
    """

    value: float | None
    unit: str
    kind: Kind
    method: str = ""
    reason: str = ""
    samples: tuple[float, ...] | None = None
    uncertainty: float | None = None

    def __post_init__(self) -> None:
        missing = self.kind is Kind.UNAVAILABLE
        if missing != (self.value is None):
            raise ValueError(f"a metric has no value exactly when it is unavailable; got {self.value!r}, {self.kind}")
        if missing and not self.reason:
            raise ValueError("an unavailable metric says why")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"a metric is finite, or unavailable with a reason; got {self.value!r}")
        if not missing and not self.method:
            raise ValueError("a metric says by which method it was obtained")
        if self.uncertainty is not None and not (math.isfinite(self.uncertainty) and self.uncertainty >= 0):
            raise ValueError(f"an uncertainty is finite and at least 0; got {self.uncertainty!r}")

    @property
    def available(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def as_dict(self) -> dict[str, Any]:
        """The shape that ``summary.json`` fixes."""
        data: dict[str, Any] = {
            "value": self.value,
            "unit": self.unit,
            "kind": self.kind.value,
            "method": self.method,
            "reason": self.reason,
        }
        if self.samples is not None:
            data["samples"] = list(self.samples)
        if self.uncertainty is not None:
            data["uncertainty"] = self.uncertainty
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Metric:
        """The inverse of :meth:`as_dict`."""
        samples = data.get("samples")
        return cls(
            data["value"],
            data["unit"],
            Kind(data["kind"]),
            data.get("method", ""),
            data.get("reason", ""),
            None if samples is None else tuple(samples),
            data.get("uncertainty"),
        )


def unavailable(name_or_unit: str, reason: str) -> Metric:
    """A metric that could not be obtained; takes a metric name or a unit."""
    return Metric(None, METRIC_UNITS.get(name_or_unit, name_or_unit), Kind.UNAVAILABLE, reason=reason)


def as_stand_in(metric: Metric, machine: str) -> Metric:
    """The same figure, marked as run on ``machine`` instead of on the device itself."""
    if metric.kind is not Kind.MEASURED:
        return metric
    return dataclasses.replace(metric, kind=Kind.STAND_IN, method=f"{metric.method}; on {machine}, not on the device")


def as_simulated(metric: Metric, simulator: str) -> Metric:
    """The same figure, marked as obtained by executing the device's own program in a simulator."""
    if metric.kind is not Kind.MEASURED:
        return metric
    return dataclasses.replace(metric, kind=Kind.SIMULATED, method=f"{metric.method}; executed by {simulator}")


def comparable(metrics: Iterable[Metric]) -> bool:
    """Whether figures may be ranked against each other: all available, of one kind and unit."""
    listed = list(metrics)
    return all(m.available for m in listed) and len({(m.kind, m.unit) for m in listed}) <= 1


def percentile(sorted_values: Sequence[float], percent: float) -> float:
    """Percentile by linear interpolation between closest ranks (Hyndman & Fan 1996, type 7).

    Args:
        sorted_values: ascending.
        percent: from 0 to 100.

    Raises:
        ValueError: no values, or a percentage outside of 0 to 100.
    """
    if not sorted_values:
        raise ValueError("a percentile needs at least one value")
    if not 0 <= percent <= 100:
        raise ValueError(f"a percentage is from 0 to 100; got {percent!r}")
    position = (len(sorted_values) - 1) * percent / 100.0
    low = math.floor(position)
    high = min(low + 1, len(sorted_values) - 1)
    return sorted_values[low] + (sorted_values[high] - sorted_values[low]) * (position - low)
