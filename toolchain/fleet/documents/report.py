"""What a device says of itself. It is sent in a DSSE envelope (``PAYLOAD_TYPE``) that the device's own key signs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, get_args

from toolchain.fleet.documents import checks

PAYLOAD_TYPE = "application/vnd.edgewright.report+json"
#: Bytes of a report in its envelope, at most.
MOST_REPORT = 64 << 10

Stage = Literal["idle", "fetching", "staged", "checking", "switching", "soaking", "rolling-back"]
Outcome = Literal["none", "underway", "committed", "rolled-back", "failed", "refused"]
#: Why an attempt did not end in a commit. ``parity``, ``budget`` and ``slower`` are about the numbers.
Reason = Literal[
    "", "trust", "download", "files", "depends", "space", "build", "parity", "budget", "slower", "health", "crash",
    "internal",
]  # fmt: skip
#: Seconds: what a latency that was measured may be; 0 and None are there for one that was not.
LATENCIES = (1e-9, 1e6)
STAGES, OUTCOMES, REASONS = (get_args(kind) for kind in (Stage, Outcome, Reason))


@dataclasses.dataclass(frozen=True)
class Attempt:
    """The newest attempt to install, ended or not.

    Attributes:
        release: version that it is about; 0 is none.
        sequence: of the plan that it follows.
        stage: where it stands, or where it ended.
        outcome: how it ended.
        reason: one word for gates, empty unless it went wrong.
        detail: for people, without line breaks.
        fetched, full: bytes that went over the network, and those of all files of the bundle.
    """

    release: int = 0
    sequence: int = 0
    stage: str = "idle"
    outcome: str = "none"
    reason: str = ""
    detail: str = ""
    fetched: int = 0
    full: int = 0

    def __post_init__(self) -> None:
        for value, allowed, what in (
            (self.stage, STAGES, "stage"),
            (self.outcome, OUTCOMES, "outcome"),
            (self.reason, REASONS, "reason"),
        ):
            if value not in allowed:
                raise ValueError(f"unknown {what} '{value[:40]}', allowed: {', '.join(filter(None, allowed))}")
        for name in ("release", "sequence", "fetched", "full"):
            checks.whole(getattr(self, name), f"an attempt's {name}")
        if len(self.detail) > 1000:
            raise ValueError("a detail has 1000 characters at most")
        checks.printable(self.detail, "a detail")


@dataclasses.dataclass(frozen=True)
class Report:
    """One check-in.

    Attributes:
        device: its name in the fleet.
        counter: larger in every report of this device; the server refuses one that it has seen.
        time: seconds since 1970 by the device's clock, which may be wrong.
        product, channel: what it is enrolled for.
        running: committed version; 0 is none.
        agent: version of the agent.
        attempt: the newest one.
        provides: what :class:`~toolchain.fleet.documents.release.Depends` is held against: ``device``, ``machine``,
            ``memory``, …, as text.
        labels: of the device's configuration.
        before, after: median latency in seconds of the release before the attempt and of the one that was tried; None
            is not measured.
    """

    device: str
    counter: int
    time: float
    product: str
    channel: str
    running: int
    agent: str
    attempt: Attempt = Attempt()
    provides: Mapping[str, str] = dataclasses.field(default_factory=dict)
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    before: float | None = None
    after: float | None = None

    def __post_init__(self) -> None:
        checks.name(self.device, "a device")
        checks.name(self.product, "a product")
        checks.name(self.channel, "a channel")
        checks.between(self.counter, 1, 1 << 53, "a report's counter")
        for latency in (self.before, self.after):
            if latency:
                checks.between(latency, *LATENCIES, "a latency in seconds")
        checks.whole(self.running, "a running version")
        checks.printable(self.agent, "an agent")
        _pairs(self.labels, "a label")
        _pairs(self.provides, "what a device provides")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the server says to a report. Nothing in it decides what is installed: signed plans do.

    Attributes:
        next: seconds until the next check-in.
        counter: the counter that was taken up; a device that has lost its own goes on from it.
    """

    next: float
    counter: int

    def __post_init__(self) -> None:
        checks.between(self.next, 0, 7 * 86400, "seconds until the next check-in")
        checks.whole(self.counter, "an answer's counter")


@dataclasses.dataclass(frozen=True)
class Enrolment:
    """A new device's request, in an envelope that its own key signs.

    Attributes:
        device: the name that it would like.
        public_key: PEM, Ed25519.
        token: from ``edgewright fleet token``; shown once, kept hashed.
        product, channel, labels: as in its configuration.
    """

    device: str
    public_key: str
    token: str
    product: str
    channel: str
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        checks.name(self.device, "a device")
        checks.name(self.product, "a product")
        checks.name(self.channel, "a channel")
        _pairs(self.labels, "a label")


def _pairs(pairs: Mapping[str, str], what: str) -> None:
    for key, value in pairs.items():
        if len(key) > 64 or len(value) > 1000:
            raise ValueError(f"{what} is too long: {key[:64]!a}")
        checks.printable(key, what)
        checks.printable(value, what)
