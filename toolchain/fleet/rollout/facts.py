"""What is known of one device, and where it stands in a rollout. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, get_args

from toolchain.fleet.documents.plan import Plan

Standing = Literal["committed", "underway", "waiting", "troubled", "held-up", "refused", "silent"]
STANDINGS: tuple[Standing, ...] = get_args(Standing)
#: Failures that say nothing about the release: the device tries again.
HELD_UP = ("download", "space")
#: Failures after which a device does not try the same release again by itself, so they count in every rollout of it.
LASTING = ("build", "parity", "budget", "slower", "health", "crash")
#: Stages in which the new release runs or is about to: who falls silent there may be lost.
DANGEROUS = ("switching", "soaking", "rolling-back")


@dataclasses.dataclass(frozen=True)
class Facts:
    """One device, as its newest report has it.

    Attributes:
        device, labels: who.
        running: committed version; 0 is none.
        release, sequence, stage, outcome, reason: of its newest attempt, see
            :class:`toolchain.fleet.documents.report.Attempt`.
        before, after: median latency in seconds; None is not measured.
        seen: when it checked in last, seconds since 1970 by the server's clock; 0 is never.
    """

    device: str
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    running: int = 0
    release: int = 0
    sequence: int = 0
    stage: str = "idle"
    outcome: str = "none"
    reason: str = ""
    before: float | None = None
    after: float | None = None
    seen: float = 0.0

    def change(self, plan: Plan) -> float | None:
        """``after / before - 1`` of this plan's release; None if it is not known."""
        if self.release != plan.release or not self.before or self.after is None:
            return None
        return self.after / self.before - 1


def vanished(plan: Plan, facts: Facts, silent_since: float) -> bool:
    """Whether a device has committed and is not heard of: perhaps the release did that to it."""
    return facts.running >= plan.release and facts.seen < silent_since


def standing(plan: Plan, first: int, facts: Facts, silent_since: float) -> Standing:
    """Where a device stands.

    Args:
        plan: the rollout's.
        first: sequence of the rollout's first plan; what went wrong before is counted only if it
            lasts.
        facts: of the device.
        silent_since: who was heard last before this time is silent.
    """
    if facts.running >= plan.release:
        return "committed"
    silent = facts.seen < silent_since
    tried = facts.release == plan.release and (facts.sequence >= first or facts.reason in LASTING)
    if not tried or facts.outcome == "none":
        return "silent" if silent else "waiting"
    if facts.outcome in ("underway", "committed"):
        return _underway(facts, silent)
    return "refused" if facts.outcome == "refused" and facts.reason == "depends" else _failed(facts, silent)


def _underway(facts: Facts, silent: bool) -> Standing:
    if silent:
        return "troubled" if facts.stage in DANGEROUS else "silent"
    return "held-up" if facts.reason in HELD_UP else "underway"


def _failed(facts: Facts, silent: bool) -> Standing:
    if facts.outcome == "rolled-back" or facts.reason not in HELD_UP:
        return "troubled"
    return "silent" if silent else "held-up"
