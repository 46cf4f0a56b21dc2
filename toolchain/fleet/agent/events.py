"""What happens to the machine, and what it asks for. Plain data: whoever performs may be a device or a simulation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.documents.release import Limit


@dataclasses.dataclass(frozen=True)
class Started:
    """The agent begins to run; ``pointed`` is the slot that ``current`` leads to, empty for none."""

    pointed: str


@dataclasses.dataclass(frozen=True)
class Due:
    """It is time to look for a new plan."""


@dataclasses.dataclass(frozen=True)
class Planned:
    """A plan that was verified, with the floors that it raises; ``wall`` is seconds since 1970."""

    plan: Plan
    device: str
    labels: Mapping[str, str]
    wall: float
    floors: Mapping[str, int] = dataclasses.field(default_factory=dict)
    keys: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Fetched:
    """All files are in the slot, and verified. ``fetched`` and ``full`` are bytes."""

    builds: bool
    budget: tuple[Limit, ...]
    fetched: int
    full: int


@dataclasses.dataclass(frozen=True)
class Built:
    """The bundle was compiled on the device."""


@dataclasses.dataclass(frozen=True)
class Matched:
    """The golden outputs are as recorded."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """Figures of the release that is tried, by metric; ``before`` is the median latency of the running one in s."""

    figures: Mapping[str, float]
    before: float | None = None


@dataclasses.dataclass(frozen=True)
class Pointed:
    """``current`` leads to the wanted slot; ``clock`` is in seconds and never runs backwards while the agent runs."""

    clock: float


@dataclasses.dataclass(frozen=True)
class Probed:
    """The health check ended; ``trouble`` is empty when all is well."""

    clock: float
    trouble: str = ""


@dataclasses.dataclass(frozen=True)
class Woken:
    """The time that was waited for is over."""


@dataclasses.dataclass(frozen=True)
class Failed:
    """The action did not work out; ``again`` says that another time it may, with nothing new."""

    reason: str
    detail: str
    again: bool = False


Event = (
    Started | Due | Planned | Fetched | Built | Matched | Measured | Pointed | Probed | Woken | Failed
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Refresh:
    """Fetch and verify the plan: Planned, or an error that ends the round."""


@dataclasses.dataclass(frozen=True)
class Fetch:
    """Bring this release into this slot: Fetched or Failed."""

    release: int
    slot: str


@dataclasses.dataclass(frozen=True)
class Build:
    """Compile: Built or Failed."""

    slot: str


@dataclasses.dataclass(frozen=True)
class Compare:
    """Run the golden samples: Matched or Failed."""

    slot: str


@dataclasses.dataclass(frozen=True)
class Measure:
    """Measure this slot, and the one that runs (empty: none): Measured or Failed."""

    slot: str
    running: str


@dataclasses.dataclass(frozen=True)
class Point:
    """Lead ``current`` to this slot, or nowhere when empty: Pointed or Failed."""

    slot: str


@dataclasses.dataclass(frozen=True)
class Probe:
    """Run the health check once: Probed."""

    slot: str


@dataclasses.dataclass(frozen=True)
class Wait:
    """Woken after so many seconds."""

    seconds: float


@dataclasses.dataclass(frozen=True)
class Commit:
    """Mark the slot as committed, and remove what is no longer needed: no event."""

    slot: str


@dataclasses.dataclass(frozen=True)
class Tell:
    """Report to the server, which may fail without harm: no event."""


Action = Refresh | Fetch | Build | Compare | Measure | Point | Probe | Wait | Commit | Tell
