"""Whether the next wave opens, everything stops, or nothing changes. Pure: state and facts in, a decision out.

What it never does: open a wave while the gate of the one before is not met or a person has not approved it; move a
rollout that is paused or aborted; give a plan whose sequence does not grow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.rollout.facts import Facts
from toolchain.fleet.rollout.policy import Policy
from toolchain.fleet.rollout.tally import Tally, members, tallies

Action = Literal["none", "wait", "open", "stop", "complete"]


@dataclasses.dataclass(frozen=True)
class Progress:
    """What must be remembered between two looks.

    Attributes:
        first: sequence of the rollout's first plan.
        opened: when the newest wave opened, seconds since 1970.
        met: since when its gate has been met; None if it is not.
    """

    first: int
    opened: float
    met: float | None = None


@dataclasses.dataclass(frozen=True)
class Rollout:
    """A rollout: what it is held to, where it is, and who agreed to what.

    Attributes:
        approved: names of the waves that a person has approved.
    """

    policy: Policy
    plan: Plan
    progress: Progress
    approved: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Decision:
    """What is to be done.

    Attributes:
        action: ``none`` and ``wait`` change nothing.
        plan: the next one; None if it stays as it is.
        progress: to be remembered.
        why: sentences, the first one is the most important.
    """

    action: Action
    plan: Plan | None
    progress: Progress
    why: tuple[str, ...]


def advance(rollout: Rollout, facts: Sequence[Facts], now: float) -> Decision:
    """Look at the fleet and decide.

    Args:
        rollout: where it stands.
        facts: of every device of the channel that is not revoked.
        now: seconds since 1970.
    """
    policy, plan, progress = rollout.policy, rollout.plan, rollout.progress
    if plan.state in ("paused", "aborted"):
        return Decision("none", None, progress, (f"the rollout is {plan.state}",))
    counted = tallies(plan, members(plan, progress.first, facts, now - policy.silent))
    if reasons := stops(policy, plan, counted):
        stopped = dataclasses.replace(plan, state="aborted", sequence=plan.sequence + 1)
        return Decision("stop", stopped, dataclasses.replace(progress, met=None), reasons)
    if plan.state == "complete":
        return Decision("none", None, progress, ("the rollout is complete",))
    missing = gate(policy, plan, counted, now - progress.opened)
    met = None if missing else min(now, now if progress.met is None else progress.met)
    progress = dataclasses.replace(progress, met=met)
    if missing or (rest := _soaks(rollout, met, now)):
        return Decision("wait", None, progress, missing or rest)
    return _onward(rollout, progress, now)


def stops(policy: Policy, plan: Plan, counted: Mapping[int | None, Tally]) -> tuple[str, ...]:
    """Why everything stops, in sentences; empty if nothing does."""
    found = []
    for number, each in counted.items():
        if number is None and plan.state != "complete":
            continue
        name = "(no wave)" if number is None else plan.waves[number].name
        if policy.too_many(each.troubled, each.reachable):
            found.append(
                f"{each.troubled} of {each.reachable} devices of wave '{name}' rolled back, failed or fell silent in "
                f"the middle, allowed {_allowed(policy, each)}"
            )
        if each.parity > policy.parity * each.reachable + 1e-9 and each.parity > policy.tolerated:
            found.append(
                f"{each.parity} of {each.reachable} devices of wave '{name}' compute other numbers, allowed "
                f"{policy.parity:.2%}"
            )
        if _slow(policy, each) and _share_missing(policy, each, 0) is None:
            found.append(f"wave '{name}' is {each.slower:.1%} slower in the median, allowed {policy.slower:.1%}")
    return tuple(found)


def _allowed(policy: Policy, each: Tally) -> str:
    return f"{max(policy.tolerated, int(policy.errors * each.reachable + 1e-9))}"


def _slow(policy: Policy, each: Tally) -> bool:
    return policy.slower is not None and each.slower is not None and each.slower > policy.slower


def gate(policy: Policy, plan: Plan, counted: Mapping[int | None, Tally], waited: float) -> tuple[str, ...]:
    """What is missing before the wave after the newest open one may open; empty is met.

    Args:
        policy: the rules.
        plan: the rollout's.
        counted: from :func:`toolchain.fleet.rollout.tally.tallies`.
        waited: seconds since the newest wave opened.
    """
    if not plan.open_waves:
        return ()
    newest = counted[plan.open_waves - 1]
    name = plan.waves[plan.open_waves - 1].name
    found = []
    waits = waited < policy.timeout
    through = [counted[number] for number in range(plan.open_waves)]
    lost = sum(each.vanished for each in through) if waits else 0
    committed = sum(each.committed for each in through) - lost
    if committed < policy.least:
        rest = f" ({lost} committed and fell silent)" if lost else ""
        found.append(f"{committed} devices of all open waves have committed, wanted {policy.least}{rest}")
    if share := _share_missing(policy, newest, 0 if waits else newest.silent, newest.vanished if waits else 0):
        found.append(f"wave '{name}': {share}")
    if _slow(policy, newest):
        found.append(f"wave '{name}' is {newest.slower:.1%} slower in the median, allowed {policy.slower:.1%}")
    return tuple(found)


def _share_missing(policy: Policy, each: Tally, given_up: int, vanished: int = 0) -> str | None:
    """What the share of committed devices lacks. Who is tolerated, given up, or fitted by no bundle is not asked.

    Args:
        vanished: committed devices that fell silent and do not count as committed.
    """
    of = each.devices - each.refused - given_up - min(each.troubled, policy.tolerated)
    committed = each.committed - vanished
    if committed >= policy.committed * of - 1e-9:
        return None
    parts = {
        "underway": each.underway, "not begun": each.waiting, "went wrong": each.troubled,
        "held up by network or disk": each.held_up, "silent": each.silent,
        "committed and fell silent": vanished,
    }  # fmt: skip
    rest = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
    return f"{committed} of {of} devices have committed, wanted {policy.committed:.0%} ({rest})"


def _soaks(rollout: Rollout, met: float | None, now: float) -> tuple[str, ...]:
    left = rollout.policy.soak - (now - (now if met is None else met))
    if not rollout.plan.open_waves or left <= 0:
        return ()
    name = rollout.plan.waves[rollout.plan.open_waves - 1].name
    return (f"wave '{name}' has met its gate and is watched for another {left:.0f} s",)


def _onward(rollout: Rollout, progress: Progress, now: float) -> Decision:
    policy, plan = rollout.policy, rollout.plan
    if plan.open_waves == len(plan.waves):
        if not any(wave.percent >= 100 for wave in plan.waves):
            return Decision(
                "wait", None, progress, ("all waves are through; devices that are in none stay as they are",)
            )
        done = dataclasses.replace(plan, state="complete", sequence=plan.sequence + 1)
        return Decision("complete", done, progress, ("all waves are through",))
    wave = plan.waves[plan.open_waves]
    if wave.name in policy.approvals and wave.name not in rollout.approved:
        return Decision("wait", None, progress, (f"wave '{wave.name}' waits for a person's approval",))
    opened = dataclasses.replace(plan, open_waves=plan.open_waves + 1, sequence=plan.sequence + 1)
    before = (
        f"the gate of wave '{plan.waves[plan.open_waves - 1].name}' is met" if plan.open_waves else "it is the first"
    )
    return Decision("open", opened, Progress(progress.first, now), (f"wave '{wave.name}' opens: {before}",))
