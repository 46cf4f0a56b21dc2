"""A rollout as devices see it: which release, for whom, when. Signed, static, the same for everyone.

It is a TUF target, ``rollouts/PRODUCT/CHANNEL.json``, signed by a role of its own that can sign nothing else. The
server moves it on; a device finds its own part in it (:mod:`toolchain.fleet.rollout.membership`), so that a mirror that
holds static files is enough.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, get_args

from toolchain.fleet.documents import checks

State = Literal["running", "paused", "aborted", "complete"]
STATES: tuple[str, ...] = get_args(State)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclasses.dataclass(frozen=True)
class Wave:
    """Who belongs to a wave, one of three ways; who belongs to several belongs to the first.

    Attributes:
        name: for people and reports.
        percent: of all devices, by a stable hash; waves add up: 5 and then 50 are the first 5 and the next 45.
        devices: these.
        labels: devices with all of these labels.
    """

    name: str
    percent: float = 0.0
    devices: tuple[str, ...] = ()
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        checks.name(self.name, "a wave")
        checks.between(self.percent, 0, 100, f"the percentage of wave {self.name}")
        if sum((bool(self.percent), bool(self.devices), bool(self.labels))) != 1:
            raise ValueError(f"wave {self.name} needs one of percent, devices, labels")


@dataclasses.dataclass(frozen=True)
class Window:
    """When devices may install, in UTC. ``until`` before ``since`` goes past midnight and belongs to the day it begins.

    Attributes:
        days: three letters each; none are all.
        since, until: ``HH:MM``.
    """

    since: str
    until: str
    days: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for text in (self.since, self.until):
            hours, _, minutes = text.partition(":")
            fits = len(text) == 5 and hours.isdecimal() and minutes.isdecimal() and text.isascii()
            if not (fits and int(hours) < 24 and int(minutes) < 60):
                raise ValueError(f"'{text[:20]}' is no time of day like 22:30")
        if unknown := set(self.days) - set(DAYS):
            raise ValueError(f"unknown days: {', '.join(sorted(unknown))}; allowed: {', '.join(DAYS)}")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a rollout is now.

    Attributes:
        product, channel: whose.
        sequence: larger in every plan of this channel: a device never follows a smaller one.
        release: the version to go to.
        state: ``running``; ``paused`` and ``aborted`` let nobody begin; ``complete`` opens all waves, and who
            is in none of them stays as it is.
        salt: goes into the hash that draws devices, so that canaries change from rollout to rollout.
        waves: in order.
        open_waves: so many of them, from the first, may install.
        soak: seconds that a device watches its health before it commits.
        windows: when to install; none are always.
        most_slower: how much larger than before the update the median latency may be, 0.1 is 10 %; None is not held.
    """

    product: str
    channel: str
    sequence: int
    release: int
    state: str
    salt: str
    waves: tuple[Wave, ...]
    open_waves: int
    soak: float = 60.0
    windows: tuple[Window, ...] = ()
    most_slower: float | None = None

    def __post_init__(self) -> None:
        checks.name(self.product, "a product")
        checks.name(self.channel, "a channel")
        checks.between(self.sequence, 1, 1 << 53, "a plan's sequence")
        checks.between(self.release, 1, 1 << 31, "a version")
        checks.between(len(self.waves), 1, 100, "the number of waves")
        checks.between(self.open_waves, 0, len(self.waves), "the number of open waves")
        checks.between(self.most_slower or 0.0, 0, 1000, "how much slower a device may become")
        checks.between(self.soak, 0, 30 * 86400, "soak in seconds")
        if self.state not in STATES:
            raise ValueError(f"unknown state '{self.state[:40]}', allowed: {', '.join(STATES)}")
        if len({wave.name for wave in self.waves}) != len(self.waves):
            raise ValueError("two waves have one name")

    @property
    def target_path(self) -> str:
        """Its name as a TUF target."""
        return plan_path(self.product, self.channel)


def plan_path(product: str, channel: str) -> str:
    """The TUF target of a channel's plan."""
    return f"rollouts/{product}/{channel}.json"
