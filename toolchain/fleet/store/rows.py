"""What the store gives out, and how rows become documents. Pure."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from toolchain.fleet.documents.report import LATENCIES
from toolchain.fleet.rollout.engine import Rollout
from toolchain.fleet.rollout.facts import Facts


@dataclasses.dataclass(frozen=True)
class Identity:
    """A device as the check-in needs it.

    Attributes:
        labels: as the store has them.
        keyid, public: of its key; PEM.
        revoked: since when; None is not.
        counter: of its newest report.
        entries: of its history so far.
        newest: the attempt of the newest report, and the running version: what makes a new entry of the history.
    """

    device: str
    product: str
    channel: str
    labels: str
    keyid: str
    public: str
    revoked: float | None
    counter: int
    entries: int
    newest: tuple[object, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reported:
    """What a device said, and when; see :class:`toolchain.fleet.documents.report.Report` for the fields."""

    seen: float
    running: int
    release: int
    sequence: int
    stage: str
    outcome: str
    reason: str
    detail: str
    fetched: int
    full: int
    before: float | None
    after: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceRow(Reported):
    """A device as people see it, with its newest report."""

    device: str
    product: str
    channel: str
    labels: Mapping[str, str]
    enrolled: float
    revoked: float | None
    skew: float
    agent: str
    provides: Mapping[str, str]

    @property
    def facts(self) -> Facts:
        """What the engine needs of it."""
        return Facts(**{each.name: getattr(self, each.name) for each in dataclasses.fields(Facts)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class HistoryRow(Reported):
    """An entry of a device's history."""

    number: int


@dataclasses.dataclass(frozen=True)
class TokenRow:
    """A token, without the token.

    Attributes:
        id: the first digits of its hash.
        channel: the only one that it enrols for; empty is any.
        left: so many devices may still use it.
    """

    id: str
    product: str
    channel: str
    left: int
    made: float
    expires: float
    note: str


@dataclasses.dataclass(frozen=True)
class Kept:
    """A rollout in the store.

    Attributes:
        id: of the row.
        rollout: for the engine.
        published: sequence of the newest plan that the repository has.
        started: when.
    """

    id: int
    rollout: Rollout
    published: int
    started: float

    @property
    def channel(self) -> tuple[str, str]:
        """Product and channel."""
        return self.rollout.plan.product, self.rollout.plan.channel


@dataclasses.dataclass(frozen=True)
class DecisionRow:
    """What was decided; see :class:`toolchain.fleet.store.overview.DecisionView`."""

    at: float
    action: str
    why: str
    who: str
    sequence: int


def to_text(values: Mapping[str, str]) -> str:
    """Labels as they are kept."""
    return json.dumps(dict(values), sort_keys=True, ensure_ascii=False)


def measured(latency: float | None) -> float | None:
    """A latency in seconds, None if it cannot be one: what an older version kept must not stop the page of all."""
    return latency if not latency or LATENCIES[0] <= latency <= LATENCIES[1] else None


def from_text(text: str) -> dict[str, str]:
    """The same, back."""
    values: dict[str, Any] = json.loads(text)
    return {str(key): str(value) for key, value in values.items()}
