"""What stops a rollout, and what is missing before its next wave opens. Pure.

Silence never helps: who is not heard of does not count as committed, and is left out of a wave's share only if it was
silent already when the rollout began, and only after the timeout. So a device that falls silent can hold a gate, or
stop everything where it was in the middle of a switch, and can never open one.
"""

from __future__ import annotations

from collections.abc import Mapping

from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.rollout.policy import Policy
from toolchain.fleet.rollout.tally import Tally


def stops(policy: Policy, plan: Plan, counted: Mapping[int | None, Tally]) -> tuple[str, ...]:
    """Why everything stops, in sentences; empty if nothing does. Devices in none of the waves have no say."""
    found = []
    for number, each in counted.items():
        if number is None:
            continue
        name = plan.waves[number].name
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
        if _slow(policy, each) and _enough(policy, each.committed, _asked(policy, each)):
            found.append(_slow_words(policy, name, each))
    return tuple(found)


def _allowed(policy: Policy, each: Tally) -> str:
    return f"{max(policy.tolerated, int(policy.errors * each.reachable + 1e-9))}"


def _slow(policy: Policy, each: Tally) -> bool:
    return policy.slower is not None and each.slower is not None and each.slower > policy.slower


def _slow_words(policy: Policy, name: str, each: Tally) -> str:
    return f"wave '{name}' is {each.slower:.1%} slower in the median, allowed {policy.slower:.1%}"


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
    newest, name = counted[plan.open_waves - 1], plan.waves[plan.open_waves - 1].name
    found = []
    through = [counted[number] for number in range(plan.open_waves)]
    heard, lost = sum(each.heard for each in through), sum(each.vanished for each in through)
    if heard < policy.least:
        rest = f" ({lost} committed and fell silent)" if lost else ""
        found.append(f"{heard} devices of all open waves have committed, wanted {policy.least}{rest}")
    of = _asked(policy, newest) - (newest.gone if waited >= policy.timeout else 0)
    if not _enough(policy, newest.heard, of):
        found.append(f"wave '{name}': {_share_words(policy, newest, of)}")
    if _slow(policy, newest):
        found.append(_slow_words(policy, name, newest))
    return tuple(found)


def _asked(policy: Policy, each: Tally) -> int:
    """Devices of which a share must commit: not those that no bundle fits, nor as many as may go wrong.

    Only who said what went wrong is tolerated: who fell silent in the middle would otherwise make the share larger.
    """
    return each.devices - each.refused - min(each.troubled - each.lost, policy.tolerated)


def _enough(policy: Policy, committed: int, of: int) -> bool:
    return committed >= policy.committed * of - 1e-9


def _share_words(policy: Policy, each: Tally, of: int) -> str:
    parts = {
        "underway": each.underway, "not begun": each.waiting, "went wrong": each.troubled,
        "held up by network or disk": each.held_up, "silent": each.silent,
        "committed and fell silent": each.vanished,
    }  # fmt: skip
    rest = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
    return f"{each.heard} of {of} devices have committed, wanted {policy.committed:.0%} ({rest})"
