"""What an agent remembers. Frozen data without I/O; :mod:`toolchain.fleet.agent.keep` writes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from toolchain.fleet.documents.release import Limit
from toolchain.fleet.documents.report import Attempt

SLOTS = ("a", "b")


@dataclasses.dataclass(frozen=True)
class Trying:
    """The release that is being installed.

    Attributes:
        release: its version.
        slot: where it goes.
        soak: seconds to watch its health.
        most_slower: from the plan.
        builds: the device compiles.
        budget: limits on measurements.
        starts: how often the agent began anew since the checks began, or since the switch back did: an install that
            ends the agent each time is given up.
        since: when the soak began, in seconds of the clock that the events carry; None is not yet.
        told: when the server was told last, by the same clock.
    """

    release: int
    slot: str
    soak: float = 0.0
    most_slower: float | None = None
    builds: bool = False
    budget: tuple[Limit, ...] = ()
    starts: int = 0
    since: float | None = None
    told: float = 0.0


@dataclasses.dataclass(frozen=True)
class State:
    """Everything that must outlive a power cut.

    Attributes:
        slot, running: the committed slot (empty is none) and its version.
        trying: what is underway.
        attempt: the newest one, as reports say it.
        failed: versions that went wrong on this device, and why; they are not tried again by themselves.
        floors: smallest numbers that are still believed: versions of TUF metadata and the plan's ``sequence``.
        keys: the keys under which a floor was learned; the floor falls with them (TUF specification, 5.3.11).
        counter: of the newest report.
        latest: the latest time that was seen, in seconds since 1970.
        before, after: median latencies in seconds around the newest attempt.
        refused: the server did not want this device's newest report.
        unkept: why the running release could not be marked as committed, or kept by its board; empty when it is.
    """

    slot: str = ""
    running: int = 0
    trying: Trying | None = None
    attempt: Attempt = dataclasses.field(default_factory=Attempt)
    failed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    floors: Mapping[str, int] = dataclasses.field(default_factory=dict)
    keys: Mapping[str, str] = dataclasses.field(default_factory=dict)
    counter: int = 0
    latest: float = 0.0
    before: float | None = None
    after: float | None = None
    refused: bool = False
    unkept: str = ""

    def __post_init__(self) -> None:
        if self.slot not in ("", *SLOTS) or (self.trying and self.trying.slot not in SLOTS):
            raise ValueError(f"slots are called {' and '.join(SLOTS)}")
        if self.running < 0 or self.counter < 0:
            raise ValueError("versions and counters are not negative")

    @property
    def spare(self) -> str:
        """The slot that nothing runs from."""
        return SLOTS[1] if self.slot == SLOTS[0] else SLOTS[0]
