"""What the status page shows, as data: ``Store.overview()`` makes it, ``toolchain.fleet.page`` draws it.

Lists are bounded, so that a page of a hundred thousand devices is as long as one of a hundred. Times are seconds since
1970 by the server's clock, latencies are seconds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

#: Rows of lists, at most: devices that went wrong, outliers of the latency, decisions.
MOST_TROUBLES, MOST_OUTLIERS, MOST_DECISIONS = 200, 20, 50
#: Which quantiles :class:`Latency` has, in percent.
QUANTILES = (0, 5, 10, 25, 50, 75, 90, 95, 100)


@dataclasses.dataclass(frozen=True)
class Latency:
    """Median latencies of many devices, before an update and after it.

    Attributes:
        devices: how many have measured both; 0 leaves the other fields empty.
        before, after: the quantiles :data:`QUANTILES` across devices.
        change: quantiles of ``after / before - 1`` of one device; 0.1 is 10 % slower.
    """

    devices: int = 0
    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()
    change: tuple[float, ...] = ()

    @property
    def median_change(self) -> float | None:
        """What the gate looks at; None if nothing was measured."""
        return self.change[QUANTILES.index(50)] if self.change else None


@dataclasses.dataclass(frozen=True)
class WaveView:
    """One wave; the counts add up to ``devices``.

    Attributes:
        name: its name; ``(no wave)`` for devices that are in none.
        who: in words: ``5 % of all``, ``3 devices``, ``site=lab``.
        open: its devices may install.
        devices: that belong to it now and are not revoked.
        committed: run the release, or a newer one.
        underway: have begun.
        waiting: have not begun.
        troubled: have rolled back or failed for a reason that counts against the release.
        held_up: could not try: the network, a full disk.
        refused: no bundle of the release fits them.
        silent: not heard of for as long as the policy says, and not yet committed.
        latency: of its devices.
        gate: what is still missing before the next wave may open; empty if nothing is, or if it is not this one's turn.
    """

    name: str
    who: str
    open: bool
    devices: int
    committed: int
    underway: int
    waiting: int
    troubled: int
    held_up: int
    refused: int
    silent: int
    latency: Latency
    gate: str = ""


@dataclasses.dataclass(frozen=True)
class Trouble:
    """A device that did not end in a commit, and why.

    Attributes:
        outcome: ``rolled-back``, ``failed`` or ``refused``.
        reason: one word, see :data:`toolchain.fleet.documents.report.Reason`.
        detail: in the device's own words, not to be trusted: escape it.
        running: what it runs now; 0 is nothing.
        when: of the report.
    """

    device: str
    wave: str
    release: int
    outcome: str
    reason: str
    detail: str
    running: int
    when: float
    before: float | None = None
    after: float | None = None


@dataclasses.dataclass(frozen=True)
class Outlier:
    """A device whose latency changed by more than others' did; the largest change first."""

    device: str
    wave: str
    before: float
    after: float


@dataclasses.dataclass(frozen=True)
class DecisionView:
    """What the engine or a person did to the rollout.

    Attributes:
        action: ``start``, ``open``, ``stop``, ``complete``, ``pause``, ``resume``, ``abort``, ``approve``.
        why: in words.
        who: the operator's name; empty if the engine decided.
        sequence: of the plan that came of it.
    """

    when: float
    action: str
    why: str
    who: str
    sequence: int


@dataclasses.dataclass(frozen=True)
class RolloutView:
    """The newest rollout of a channel.

    Attributes:
        state: of the plan: ``running``, ``paused``, ``aborted``, ``complete``.
        published: the newest plan is in the repository; if not, the server is about to put it there.
        waves: in order; the last one may be ``(no wave)``.
        latency: of all devices of the channel.
        fetched, full: bytes that devices fetched for this release, and those of its whole bundles; deltas and files
            that were there already save the rest.
        next_step: what the rollout waits for, in words.
    """

    product: str
    channel: str
    release: int
    state: str
    sequence: int
    published: bool
    started: float
    waves: tuple[WaveView, ...]
    latency: Latency
    troubles: tuple[Trouble, ...]
    outliers: tuple[Outlier, ...]
    decisions: tuple[DecisionView, ...]
    fetched: int
    full: int
    next_step: str


@dataclasses.dataclass(frozen=True)
class Overview:
    """The whole fleet at one moment.

    Attributes:
        when: the moment.
        devices: enrolled and not revoked.
        revoked: how many are.
        heard: devices that checked in within the last hour.
        never: devices that never did.
        wrong_clocks: devices whose clock is off by more than five minutes.
        versions: product to committed version to the number of devices; version 0 is none yet.
        rollouts: the newest of every channel, the newest first.
    """

    when: float
    devices: int
    revoked: int
    heard: int
    never: int
    wrong_clocks: int
    versions: Mapping[str, Mapping[int, int]]
    rollouts: tuple[RolloutView, ...]
