"""The state of the GPUs around a measurement, and what of it could have disturbed it.

NVIDIA cards are read through NVML (``gpu_nvml.py``), a Jetson's own GPU from the kernel's files (``gpu_jetson.py``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

#: What ``throttle_reasons`` says of a card with nothing to do; its clocks are low and tell nothing.
IDLE = "idle"
#: Reasons that slow a card down against the will of its user.
SLOWDOWNS = frozenset(
    {
        *("power limit", "hardware slowdown", "temperature (software)", "temperature (hardware)"),
        *("external power brake", "board limit", "reliability"),
    }
)
_CLOCK_LIMIT = 0.05
_THROTTLE_LIMIT = 0.01


@dataclasses.dataclass(frozen=True)
class GpuClock:
    """One clock in Hz: ``domain`` is ``graphics``, ``sm`` or ``memory``."""

    domain: str
    current: float | None = None
    minimum: float | None = None
    maximum: float | None = None

    @property
    def locked(self) -> bool:
        """Whether it cannot move."""
        return self.minimum is not None and self.minimum == self.maximum


@dataclasses.dataclass(frozen=True)
class GpuState:
    """What could be read of a GPU at one moment; None where it does not say.

    Attributes:
        name: as the driver calls it.
        integrated: it shares the processor's memory and power (Jetson).
        compute_capability: such as ``8.6``.
        driver, cuda: versions of the driver, and the newest CUDA that it serves.
        memory, memory_used: bytes.
        clocks: see :class:`GpuClock`.
        governor: who sets the clock (Jetson).
        throttle_reasons: why the clocks are below their highest now, in words; ``idle`` among them.
        throttled_seconds: by cause, since the driver was loaded.
        throttle_events: by cause, since the start (Jetson).
        temperature: degrees Celsius.
        power_limit: watts, as enforced.
        performance_state: ``P0`` (fastest) to ``P15``.
        ecc, mig, persistence: whether these modes are on.
        processes: that compute on it, without this one.
        own: whether this process was among those that the driver listed.
    """

    name: str
    integrated: bool = False
    compute_capability: str | None = None
    driver: str | None = None
    cuda: str | None = None
    memory: float | None = None
    memory_used: float | None = None
    clocks: tuple[GpuClock, ...] = ()
    governor: str | None = None
    throttle_reasons: tuple[str, ...] = ()
    throttled_seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    throttle_events: Mapping[str, int] = dataclasses.field(default_factory=dict)
    temperature: float | None = None
    power_limit: float | None = None
    performance_state: str | None = None
    ecc: bool | None = None
    mig: bool | None = None
    persistence: bool | None = None
    processes: int | None = None
    own: bool = False

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> GpuState:
        """The inverse of ``dataclasses.asdict``, also after a trip through JSON."""
        clocks = tuple(GpuClock(**clock) for clock in data.get("clocks", ()))
        return cls(**{**data, "clocks": clocks, "throttle_reasons": tuple(data.get("throttle_reasons", ()))})


def gpu_trouble(before: tuple[GpuState, ...], after: tuple[GpuState, ...], wall_seconds: float) -> list[str]:
    """Sentences on what could have disturbed ``wall_seconds`` of work on the GPU between the two states."""
    if len(before) != len(after):
        return [f"the number of GPUs changed from {len(before)} to {len(after)}"]
    pairs = list(zip(before, after, strict=True))
    return [
        sentence
        for first, last in pairs
        for sentence in (
            *_throttled(first, last, wall_seconds),
            *_moved(first, last),
            *_shared(first, last),
        )
    ]


def _throttled(first: GpuState, last: GpuState, wall_seconds: float) -> list[str]:
    gained = {cause: t - first.throttled_seconds.get(cause, t) for cause, t in last.throttled_seconds.items()}
    found = [
        f"the GPU was throttled for {seconds:.2f} s by its {cause}"
        for cause, seconds in gained.items()
        if seconds > _THROTTLE_LIMIT * wall_seconds
    ]
    events = {cause: n - first.throttle_events.get(cause, n) for cause, n in last.throttle_events.items()}
    found += [f"the board lowered its clocks {n} times: {cause}" for cause, n in events.items() if n > 0]
    now = [reason for reason in last.throttle_reasons if reason in SLOWDOWNS]
    return found or ([f"the GPU was slowed down at the end: {', '.join(now)}"] if now else [])


def _moved(first: GpuState, last: GpuState) -> list[str]:
    """Clocks that changed under load; those of an idle card are low, and a free governor moves them anyway."""
    free = [clock for clock in last.clocks if last.governor not in (None, "performance") and not clock.locked]
    if free:
        low, high = ((value or 0.0) / 1e6 for value in (free[0].minimum, free[0].maximum))
        return [
            f"the GPU's clock was free to move between {low:.0f} and {high:.0f} MHz (governor {last.governor}); "
            "sudo jetson_clocks locks it"
        ]
    if IDLE in first.throttle_reasons + last.throttle_reasons:
        return []
    now = {clock.domain: clock.current for clock in last.clocks}
    pairs = [(clock.domain, clock.current, now.get(clock.domain)) for clock in first.clocks]
    return [
        f"the GPU's {domain} clock changed from {a / 1e6:.0f} to {b / 1e6:.0f} MHz"
        for domain, a, b in pairs
        if a and b and abs(b - a) > _CLOCK_LIMIT * a
    ]


def _shared(first: GpuState, last: GpuState) -> list[str]:
    """Others that computed on the GPU; in a container this process may be listed under a number not its own."""
    known = [(first.processes or 0), (last.processes or 0) - (0 if last.own else 1)]
    others = max(known)
    if others <= 0:
        return []
    return [f"{others} other process{'es' if others > 1 else ''} computed on the same GPU"]
