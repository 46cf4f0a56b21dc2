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
from toolchain.fleet.rollout.gates import gate, stops
from toolchain.fleet.rollout.policy import Policy
from toolchain.fleet.rollout.tally import Member, Tally, members, tallies

Action = Literal["none", "wait", "open", "stop", "complete"]


@dataclasses.dataclass(frozen=True)
class Progress:
    """What must be remembered between two looks. Times are seconds since 1970.

    Attributes:
        first: sequence of the rollout's first plan.
        opened: when the newest wave opened.
        met: since when its gate has been met; None if it is not.
        began: when the rollout did; nothing that a person or the engine does later moves it.
    """

    first: int
    opened: float
    met: float | None = None
    began: float = 0.0


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


def everyone(rollout: Rollout, facts: Sequence[Facts], now: float) -> list[Member]:
    """Every device with its wave and where it stands at ``now``, seconds since 1970."""
    progress, silent = rollout.progress, rollout.policy.silent
    return members(rollout.plan, progress.first, facts, now - silent, progress.began - silent)


def advance(rollout: Rollout, facts: Sequence[Facts], now: float) -> Decision:
    """Look at the fleet and decide.

    Args:
        rollout: where it stands.
        facts: of every device of the channel that is not revoked.
        now: seconds since 1970.
    """
    policy, plan, progress = rollout.policy, rollout.plan, rollout.progress
    counted = tallies(plan, everyone(rollout, facts, now))
    if plan.state in ("paused", "aborted"):
        return Decision("none", None, progress, (f"the rollout is {plan.state}", *_not_called_back(plan, counted)))
    if reasons := stops(policy, plan, counted):
        stopped = dataclasses.replace(plan, state="aborted", sequence=plan.sequence + 1)
        return Decision("stop", stopped, dataclasses.replace(progress, met=None), reasons)
    if plan.state == "complete":
        return Decision("none", None, progress, (f"the rollout is complete{_coverage(counted)}",))
    missing = gate(policy, plan, counted, now - progress.opened)
    met = None if missing else min(now, now if progress.met is None else progress.met)
    progress = dataclasses.replace(progress, met=met)
    if missing or (rest := _soaks(rollout, met, now)):
        return Decision("wait", None, progress, missing or rest)
    return _onward(rollout, progress, counted, now)


def _not_called_back(plan: Plan, counted: Mapping[int | None, Tally]) -> tuple[str, ...]:
    """What devices do that have begun before they learn of a stop; the agent asks for no plan before its end."""
    begun = sum(each.underway for each in counted.values())
    if not begun:
        return ()
    return (f"{begun} of the devices have begun and are not called back: each commits or goes back by itself",)


def _coverage(counted: Mapping[int | None, Tally]) -> str:
    """Which share of the devices the waves cover, where it is not all of them."""
    left, all_of_them = counted[None].devices, sum(each.devices for each in counted.values())
    if not left:
        return ""
    inside = all_of_them - left
    share = f"{inside} of {all_of_them} devices ({inside / all_of_them:.1%})"
    return f": the waves cover {share}, the others stay as they are"


def _soaks(rollout: Rollout, met: float | None, now: float) -> tuple[str, ...]:
    left = rollout.policy.soak - (now - (now if met is None else met))
    if not rollout.plan.open_waves or left <= 0:
        return ()
    name = rollout.plan.waves[rollout.plan.open_waves - 1].name
    return (f"wave '{name}' has met its gate and is watched for another {left:.0f} s",)


def _onward(rollout: Rollout, progress: Progress, counted: Mapping[int | None, Tally], now: float) -> Decision:
    policy, plan = rollout.policy, rollout.plan
    if plan.open_waves == len(plan.waves):
        done = dataclasses.replace(plan, state="complete", sequence=plan.sequence + 1)
        return Decision("complete", done, progress, (f"all waves are through{_coverage(counted)}",))
    wave = plan.waves[plan.open_waves]
    if wave.name in policy.approvals and wave.name not in rollout.approved:
        return Decision("wait", None, progress, (f"wave '{wave.name}' waits for a person's approval",))
    opened = dataclasses.replace(plan, open_waves=plan.open_waves + 1, sequence=plan.sequence + 1)
    before = (
        f"the gate of wave '{plan.waves[plan.open_waves - 1].name}' is met" if plan.open_waves else "it is the first"
    )
    onward = dataclasses.replace(progress, opened=now, met=None)
    return Decision("open", opened, onward, (f"wave '{wave.name}' opens: {before}",))
