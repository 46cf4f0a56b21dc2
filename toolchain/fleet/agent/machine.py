"""The agent's decisions: ``step(state, event) -> (state, actions)``. No I/O, no clock.

Whoever performs keeps the new state on the disk *before* it carries out the actions, so that after a power cut
``Started`` finds out from the state and from where ``current`` leads what was underway, and ends it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from toolchain.fleet.agent import events as ev
from toolchain.fleet.agent.state import State, Trying
from toolchain.fleet.documents.report import Attempt
from toolchain.fleet.rollout.membership import verdict

Actions = tuple[ev.Action, ...]
Step = tuple[State, Actions]
#: Starts of the agent within one install, from its checks to its commit, before the release is held to be the cause;
#: and starts within one switch back, before the attempt is ended without it.
MOST_STARTS = 3
#: Seconds between two health checks of a soak, at most.
PROBE_EVERY = 10.0
#: Seconds between two reports of a soak, at least: who falls silent then may be lost.
TELL_EVERY = 60.0
#: Reasons that say something of the release on this device: it is not tried again by itself.
LASTING = ("build", "parity", "budget", "slower", "health", "crash")
#: Characters of a detail to which words are added, at most.
_MOST_DETAIL = 900
#: Median latency among a bundle's figures, in seconds.
LATENCY = "latency_p50"


def step(state: State, event: ev.Event) -> Step:
    """What follows from an event; an event that does not belong here changes nothing."""
    return _STEPS[type(event)](state, event)


def _started(state: State, event: ev.Started) -> Step:
    trying, stage = state.trying, state.attempt.stage
    if trying is None or stage in ("idle", "fetching", "staged"):
        return state, _back_to(state, event.pointed)
    if stage == "soaking" and event.pointed != trying.slot:
        return _roll_back(state, state.attempt.reason or "crash", state.attempt.detail or "it was interrupted")
    again = dataclasses.replace(trying, starts=trying.starts + 1, since=None)
    state = dataclasses.replace(state, trying=again)
    if stage == "rolling-back":
        given_up = again.starts > MOST_STARTS and event.pointed != state.slot
        return (_not_back(state), (ev.Point(state.slot), ev.Tell())) if given_up else (state, (ev.Point(state.slot),))
    if again.starts >= MOST_STARTS:
        return _give_up(state, "crash", f"the agent was ended {again.starts} times while it was {stage}")
    if stage == "checking":
        return state, (*_back_to(state, event.pointed), _first_check(again))
    return _stage(state, "switching"), (ev.Point(again.slot),)


def _back_to(state: State, pointed: str) -> Actions:
    return () if pointed == state.slot else (ev.Point(state.slot),)


def _due(state: State, event: ev.Due) -> Step:
    return state, (ev.Refresh(),) if state.attempt.stage in ("idle", "fetching", "staged") else ()


def _planned(state: State, event: ev.Planned) -> Step:
    plan = event.plan
    state = dataclasses.replace(
        state, floors=event.floors, keys=event.keys, latest=max(state.latest, event.wall), trying=None
    )
    failed = state.failed.get(str(plan.release))
    if failed or not verdict(plan, event.device, event.labels, state.running, event.wall).may:
        if state.attempt.outcome == "underway":  # it waited for another try, and the plan has changed
            state = _ended(state, "failed", state.attempt.reason or "download", "given up: the plan has changed")
        return state, (ev.Tell(),)
    trying = Trying(plan.release, state.spare, plan.soak, plan.most_slower)
    attempt = Attempt(plan.release, plan.sequence, "fetching", "underway")
    state = dataclasses.replace(state, trying=trying, attempt=attempt, before=None, after=None)
    return state, (ev.Fetch(plan.release, trying.slot),)


def _fetched(state: State, event: ev.Fetched) -> Step:
    if state.trying is None:
        return state, ()
    trying = dataclasses.replace(state.trying, builds=event.builds, budget=event.budget)
    attempt = dataclasses.replace(state.attempt, stage="checking", fetched=event.fetched, full=event.full)
    return dataclasses.replace(state, trying=trying, attempt=attempt), (_first_check(trying),)


def _first_check(trying: Trying) -> ev.Action:
    return ev.Build(trying.slot) if trying.builds else ev.Compare(trying.slot)


def _built(state: State, event: ev.Built) -> Step:
    return state, (ev.Compare(state.trying.slot),) if state.trying else ()


def _matched(state: State, event: ev.Matched) -> Step:
    return state, (ev.Measure(state.trying.slot, state.slot),) if state.trying else ()


def _measured(state: State, event: ev.Measured) -> Step:
    if state.trying is None:
        return state, ()
    trying = state.trying
    state = dataclasses.replace(state, before=event.before, after=event.figures.get(LATENCY))
    reason, detail = judge(trying, event.figures, event.before)
    if reason:
        return _give_up(state, reason, detail)
    return _stage(state, "switching"), (ev.Point(trying.slot),)


def judge(trying: Trying, figures: Mapping[str, float], before: float | None) -> tuple[str, str]:
    """Reason and detail when a figure is over its limit, else two empty strings; what was not measured is not held."""
    for limit in trying.budget:
        seen = figures.get(limit.metric)
        if seen is not None and seen > limit.most:
            return "budget", f"{limit.metric} is {seen:.6g}, its budget {limit.most:.6g}"
    after = figures.get(LATENCY)
    if trying.most_slower is not None and before and after is not None and after > before * (1 + trying.most_slower):
        return "slower", f"{LATENCY} went from {before:.6g} s to {after:.6g} s, {after / before - 1:+.0%}"
    return "", ""


def _pointed(state: State, event: ev.Pointed) -> Step:
    trying, stage = state.trying, state.attempt.stage
    if trying is None or stage not in ("switching", "rolling-back"):
        return state, ()
    if stage == "rolling-back":
        reason, detail = state.attempt.reason, state.attempt.detail
        return _ended(state, "rolled-back", reason, detail, failed=reason in LASTING), (ev.Tell(),)
    soaking = dataclasses.replace(state, trying=dataclasses.replace(trying, since=event.clock, told=event.clock))
    return _stage(soaking, "soaking"), (ev.Tell(), ev.Probe(trying.slot))


def _probed(state: State, event: ev.Probed) -> Step:
    trying = state.trying
    if trying is None or state.attempt.stage != "soaking":
        return state, ()
    if event.trouble:
        return _roll_back(state, "health", event.trouble)
    left = trying.soak - (event.clock - (event.clock if trying.since is None else trying.since))
    if left > 0:
        wait = ev.Wait(min(left, PROBE_EVERY))
        if event.clock - trying.told < TELL_EVERY:
            return state, (wait,)
        told = dataclasses.replace(state, trying=dataclasses.replace(trying, told=event.clock))
        return told, (ev.Tell(), wait)
    done = dataclasses.replace(state, slot=trying.slot, running=trying.release)
    kept = {version: reason for version, reason in state.failed.items() if int(version) > trying.release}
    return dataclasses.replace(_ended(done, "committed"), failed=kept), (ev.Commit(trying.slot), ev.Tell())


def _woken(state: State, event: ev.Woken) -> Step:
    return state, (ev.Probe(state.trying.slot),) if state.trying and state.attempt.stage == "soaking" else ()


def _failed(state: State, event: ev.Failed) -> Step:
    stage = state.attempt.stage
    if state.trying is None:
        return state, ()
    if stage == "rolling-back":  # the next start goes on, but not for ever
        return _not_back(state) if state.trying.starts >= MOST_STARTS else state, (ev.Tell(),)
    if event.again and stage == "fetching":
        attempt = dataclasses.replace(state.attempt, stage="fetching", reason=event.reason, detail=event.detail)
        return dataclasses.replace(state, attempt=attempt, trying=None), (ev.Tell(),)
    return _give_up(state, event.reason, event.detail)


def _give_up(state: State, reason: str, detail: str) -> Step:
    """End the attempt; where the switch may have been made, by going back."""
    if state.attempt.stage in ("switching", "soaking"):
        return _roll_back(state, reason, detail)
    outcome = "refused" if reason in ("depends", "trust") else "failed"
    return _ended(state, outcome, reason, detail, failed=reason in LASTING), (ev.Tell(),)


def _roll_back(state: State, reason: str, detail: str) -> Step:
    attempt = dataclasses.replace(state.attempt, stage="rolling-back", reason=reason, detail=detail)
    trying = dataclasses.replace(state.trying, starts=0) if state.trying else None
    return dataclasses.replace(state, attempt=attempt, trying=trying), (ev.Point(state.slot),)


def _not_back(state: State) -> State:
    """The end of an attempt whose switch back did not work out; each start goes on trying, and reports go on."""
    reason, detail = state.attempt.reason, f"{state.attempt.detail[:_MOST_DETAIL]}; the switch back failed"
    return _ended(state, "rolled-back", reason, detail, failed=reason in LASTING)


def _ended(state: State, outcome: str, reason: str = "", detail: str = "", *, failed: bool = False) -> State:
    attempt = dataclasses.replace(state.attempt, stage="idle", outcome=outcome, reason=reason, detail=detail)
    versions = {**state.failed, str(attempt.release): reason} if failed else dict(state.failed)
    newest = sorted(versions, key=int)[-20:]
    kept = {version: versions[version] for version in newest}
    return dataclasses.replace(state, attempt=attempt, trying=None, failed=kept)


def _stage(state: State, stage: str) -> State:
    return dataclasses.replace(state, attempt=dataclasses.replace(state.attempt, stage=stage))


_STEPS: Mapping[type, Callable[[State, Any], Step]] = {
    ev.Started: _started, ev.Due: _due, ev.Planned: _planned, ev.Fetched: _fetched, ev.Built: _built,
    ev.Matched: _matched, ev.Measured: _measured, ev.Pointed: _pointed, ev.Probed: _probed, ev.Woken: _woken,
    ev.Failed: _failed,
}  # fmt: skip
