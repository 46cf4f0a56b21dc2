"""What must hold for every rollout and every fleet."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from tests.toolchain.fleet.rollout.fleet_rollouts import NOW, RELEASE, facts, fleets, policies, rollouts
from toolchain.fleet.documents.plan import Plan, Wave
from toolchain.fleet.rollout.engine import Progress, Rollout, advance
from toolchain.fleet.rollout.explain import explain
from toolchain.fleet.rollout.membership import verdict, wave_of
from toolchain.fleet.rollout.policy import Policy

DAY = 86400.0


@given(rollouts(), fleets)
def test_sequence_only_grows_and_nothing_else_of_a_plan_changes(rollout, fleet):
    decision = advance(rollout, fleet, NOW)
    if decision.plan is None:
        assert decision.action in ("none", "wait")
        return
    assert decision.plan.sequence == rollout.plan.sequence + 1
    kept = dataclasses.replace(
        decision.plan, sequence=rollout.plan.sequence, state=rollout.plan.state, open_waves=rollout.plan.open_waves
    )
    assert kept == rollout.plan


@given(rollouts(), fleets)
def test_a_stopped_rollout_never_goes_on_by_itself(rollout, fleet):
    stopped = dataclasses.replace(rollout, plan=dataclasses.replace(rollout.plan, state="aborted"))
    paused = dataclasses.replace(rollout, plan=dataclasses.replace(rollout.plan, state="paused"))
    for each in (stopped, paused):
        assert advance(each, fleet, NOW).plan is None


@given(rollouts(), fleets)
def test_waves_open_one_by_one_and_never_close(rollout, fleet):
    decision = advance(rollout, fleet, NOW)
    if decision.plan is not None:
        more = decision.plan.open_waves - rollout.plan.open_waves
        assert more == (1 if decision.action == "open" else 0)
        assert (decision.plan.state == "aborted") == (decision.action == "stop")


def counted_by_hand(rollout, fleet):
    """The newest open wave's devices, by rules that are written down once more, without the engine."""
    number = rollout.plan.open_waves - 1
    members = [each for each in fleet if wave_of(rollout.plan, each.device, each.labels) == number]
    done = [each for each in members if each.running >= RELEASE]
    rest = [each for each in members if each.running < RELEASE]
    heard = [each for each in done if each.seen >= NOW - rollout.policy.silent]
    first = rollout.progress.first
    mine = [
        each
        for each in rest
        if each.release == RELEASE
        and (each.sequence >= first or each.reason in ("build", "parity", "budget", "slower", "health", "crash"))
    ]
    refused = [each for each in mine if each.outcome == "refused" and each.reason == "depends"]
    rolled = [each for each in mine if each.outcome == "rolled-back"]
    before = min(NOW, rollout.progress.began) - rollout.policy.silent
    gone = [each for each in members if each.seen < before and each not in refused and each not in rolled]
    return members, heard, refused, rolled, gone


@given(rollouts(), fleets)
def test_no_wave_opens_while_the_gate_before_it_is_not_met(rollout, fleet):
    decision = advance(rollout, fleet, NOW)
    plan, policy = rollout.plan, rollout.policy
    if decision.action not in ("open", "complete") or not plan.open_waves:
        return
    members, done, refused, rolled, gone = counted_by_hand(rollout, fleet)
    committed = sum(
        each.running >= RELEASE
        and each.seen >= NOW - policy.silent
        and (wave_of(plan, each.device, each.labels) or 0) < plan.open_waves
        for each in fleet
        if wave_of(plan, each.device, each.labels) is not None
    )
    assert committed >= policy.least, "too few devices have committed anywhere"
    waited = NOW - rollout.progress.opened >= policy.timeout
    of = len(members) - len(refused) - (len(gone) if waited else 0) - policy.tolerated
    assert len(done) >= policy.committed * of - 1e-6, "the share of the wave is not reached"
    assert len(rolled) <= max(policy.tolerated, policy.errors * len(members)), "too many rolled back"
    assert rollout.progress.met is not None or policy.soak == 0, "it opened without a soak"
    assert NOW - (rollout.progress.met or NOW) >= policy.soak or policy.soak == 0
    if decision.action == "open" and plan.waves[plan.open_waves].name in policy.approvals:
        assert plan.waves[plan.open_waves].name in rollout.approved, "nobody approved it"


@given(rollouts(), fleets, st.integers(0, 50))
def test_explanations_never_contradict_the_verdict_and_the_decision(rollout, fleet, at):
    everyone = fleet or [facts("d1")]
    device = everyone[at % len(everyone)]
    lines = explain(rollout, everyone, device, NOW)
    found = verdict(rollout.plan, device.device, device.labels, device.running, NOW)
    assert lines[0] == f"{'may install' if found.may else 'may not install'}: {found.why}"
    name = "none" if found.wave is None else f"'{rollout.plan.waves[found.wave].name}'"
    assert lines[1].startswith(f"wave: {name}")
    decision = advance(rollout, everyone, NOW)
    assert lines[3:] == [f"rollout, {decision.action}: {why}" for why in decision.why]
    assert lines[3:], "there is always a word on what comes next"
    assert ("it runs version" in lines[2]) == (device.running >= RELEASE)


@given(rollouts(), fleets)
def test_the_same_look_twice_decides_the_same(rollout, fleet):
    assert advance(rollout, fleet, NOW) == advance(rollout, list(reversed(fleet)), NOW)


def install(plan, fleet, bad):
    """Every device that may install does; ``bad`` says which of them roll back."""
    found = []
    for each in fleet:
        tried = each.release == plan.release
        may = verdict(plan, each.device, each.labels, each.running, NOW).may and not tried
        if may and each.device in bad:
            ended = {"outcome": "rolled-back", "reason": "health"}
        elif may:
            ended = {"outcome": "committed", "running": plan.release}
        else:
            found.append(each)
            continue
        found.append(dataclasses.replace(each, release=plan.release, sequence=plan.sequence, **ended))
    return found


@given(
    policies,
    st.integers(1, 60),
    st.floats(1, 60),
    st.sets(st.integers(0, 59)),
    st.sampled_from(["s", "t", "u", "v"]),
)
def test_at_most_the_canaries_see_a_release_that_fails_there(policy, count, percent, bad, salt):
    waves = (Wave("canary", percent=percent), Wave("half", percent=max(percent, 50.0)), Wave("all", percent=100.0))
    policy = dataclasses.replace(policy, approvals=())
    plan = Plan("eyes", "stable", 1, RELEASE, "running", salt, waves, 0)
    fleet = [facts(f"d{number}") for number in range(count)]
    canaries = {each.device for each in fleet if wave_of(plan, each.device, {}) == 0}
    wrong = {f"d{number}" for number in bad}
    failing = len(canaries & wrong)
    beyond = failing > policy.tolerated and failing > policy.errors * len(canaries) + 1e-9
    rollout, now = Rollout(policy, plan, Progress(1, NOW)), NOW
    for _ in range(12):
        fleet = [dataclasses.replace(each, seen=now) for each in install(rollout.plan, fleet, wrong)]
        decision = advance(rollout, fleet, now)
        rollout = dataclasses.replace(rollout, plan=decision.plan or rollout.plan, progress=decision.progress)
        now += policy.soak + 1
    reached = {each.device for each in fleet if each.release == RELEASE}
    if beyond:
        assert reached <= canaries, "a release that failed on the canaries went on"
        assert rollout.plan.state == "aborted"
    elif canaries and len(canaries - wrong) >= policy.least and not wrong:
        assert rollout.plan.state == "complete", "nothing was wrong, and yet it did not go through"


@given(st.integers(0, 1000), st.integers(0, 1000), st.floats(0, 1), st.integers(0, 10))
def test_more_bad_devices_never_make_it_better(bad, of, errors, tolerated):
    policy = Policy(errors=errors, tolerated=tolerated)
    assert policy.too_many(bad + 1, of) or not policy.too_many(bad, of)
