"""Gates, stops, soak, approvals, silence: one by one."""

import dataclasses

import pytest

from tests.toolchain.fleet.rollout.fleet_rollouts import NOW, RELEASE, facts, plan, rollout
from toolchain.fleet.agent.machine import LASTING as AGENTS_LASTING
from toolchain.fleet.documents.plan import Wave
from toolchain.fleet.rollout.engine import Progress, advance
from toolchain.fleet.rollout.facts import LASTING, standing
from toolchain.fleet.rollout.membership import verdict
from toolchain.fleet.rollout.policy import Policy

CANARIES = "abcd"


def fleet(*kinds, **changes):
    return [facts(name, kind, **changes) for name, kind in zip(CANARIES, kinds, strict=False)]


GOOD = ("committed",) * 4


def look(kinds, policy=None, now=NOW, **changes):
    return advance(rollout(policy, **changes), fleet(*kinds), now)


def test_a_wave_that_has_committed_opens_the_next_one():
    decision = look(GOOD)
    assert (decision.action, decision.plan.open_waves, decision.plan.sequence) == ("open", 2, 11)
    assert decision.progress == Progress(10, NOW), "its time begins when it opens"
    assert decision.why == ("wave 'all' opens: the gate of wave 'canary' is met",)


def test_the_first_wave_opens_by_itself():
    decision = look((), open_waves=0)
    assert (decision.action, decision.plan.open_waves) == ("open", 1)


@pytest.mark.parametrize("kind", ["waiting", "underway", "held-up", "silent"])
def test_a_device_that_is_not_through_holds_the_gate(kind):
    decision = look((*GOOD[:3], kind))
    assert decision.action == "wait"
    assert "3 of 4 devices have committed, wanted 95%" in decision.why[0]


@pytest.mark.parametrize("kind", ["parity", "health", "lost"])
def test_a_device_on_which_it_went_wrong_stops_everything(kind):
    decision = look((*GOOD[:3], kind))
    assert (decision.action, decision.plan.state, decision.plan.sequence) == ("stop", "aborted", 11)


def test_a_device_that_no_bundle_fits_does_not_count():
    assert look((*GOOD[:3], "refused")).action == "open"


def test_failures_within_what_is_tolerated_do_not_stop():
    policy = Policy(soak=0, tolerated=1)
    assert look((*GOOD[:3], "parity"), policy).action == "open"
    assert look((*GOOD[:2], "parity", "health"), policy).action == "stop"


def test_wrong_numbers_have_a_threshold_of_their_own():
    policy = Policy(soak=0, errors=1.0, parity=0.25, committed=0.5)
    assert look((*GOOD[:3], "parity"), policy).action == "open"
    decision = look((*GOOD[:2], "parity", "parity"), policy)
    assert decision.action == "stop"
    assert "compute other numbers" in decision.why[0]


def test_the_gate_is_that_of_the_newest_wave():
    waves = (plan().waves[0], Wave("half", devices=("e", "f")), plan().waves[1])
    everyone = [*fleet(*GOOD), facts("e", "committed"), facts("f")]
    decision = advance(rollout(waves=waves, open_waves=2), everyone, NOW)
    assert decision.action == "wait"
    assert decision.why[0].startswith("wave 'half': 1 of 2 devices have committed")
    through = [*everyone[:-1], facts("f", "committed")]
    assert advance(rollout(waves=waves, open_waves=2), through, NOW).plan.open_waves == 3


def test_a_failure_in_an_earlier_wave_stops_a_later_one():
    everyone = [*fleet(*GOOD[:3], "health"), *(facts(f"e{n}", "committed") for n in range(50))]
    assert advance(rollout(open_waves=2), everyone, NOW).action == "stop"


def test_a_slower_wave_stops():
    slow = fleet(*GOOD, before=0.010, after=0.013)
    decision = advance(rollout(), slow, NOW)
    assert decision.action == "stop"
    assert decision.why == ("wave 'canary' is 30.0% slower in the median, allowed 20.0%",)
    assert advance(rollout(Policy(soak=0, slower=None)), slow, NOW).action == "open"


def test_one_slow_device_does_not_move_the_median():
    mixed = fleet(*GOOD, before=0.010, after=0.010)
    mixed[0] = dataclasses.replace(mixed[0], after=1.0)
    assert advance(rollout(), mixed, NOW).action == "open"


def test_a_gate_must_have_been_met_for_the_soak():
    policy = Policy(soak=100.0)
    first = look(GOOD, policy)
    assert (first.action, first.progress.met) == ("wait", NOW)
    again = advance(rollout(policy, first.progress), fleet(*GOOD), NOW + 99)
    assert (again.action, again.progress.met) == ("wait", NOW)
    assert advance(rollout(policy, again.progress), fleet(*GOOD), NOW + 100).action == "open"


def test_a_gate_that_is_lost_soaks_anew():
    policy = Policy(soak=100.0)
    met = Progress(10, NOW - 500, NOW - 90)
    lost = advance(rollout(policy, met), fleet(*GOOD[:3], "waiting"), NOW)
    assert lost.progress.met is None
    assert advance(rollout(policy, lost.progress), fleet(*GOOD), NOW + 50).action == "wait"


def test_a_clock_that_goes_back_opens_nothing_early():
    policy = Policy(soak=100.0)
    ahead = Progress(10, NOW - 500, NOW + 1e6)
    decision = advance(rollout(policy, ahead), fleet(*GOOD), NOW)
    assert (decision.action, decision.progress.met) == ("wait", NOW)


def test_a_wave_waits_for_its_approval():
    policy = Policy(soak=0, approvals=("all",))
    assert look(GOOD, policy).why == ("wave 'all' waits for a person's approval",)
    assert look(GOOD, policy, approved=["all"]).action == "open"


def test_devices_that_were_silent_before_the_rollout_are_given_up_after_the_timeout():
    kinds = ("committed", "committed", "silent", "silent")
    week = Policy(soak=0)
    assert look(kinds, week, progress=Progress(10, NOW - 60, began=NOW - 60)).action == "wait"
    late = rollout(week, Progress(10, NOW - 7 * 86400.0, began=NOW - 7 * 86400.0))
    assert advance(late, fleet(*kinds), NOW).action == "open"
    assert advance(late, fleet("committed", "committed", "silent", "waiting"), NOW).action == "wait"


def test_devices_that_fall_silent_later_are_waited_for_however_long_it_takes():
    long_ago = Progress(10, NOW - 20 * 86400.0, began=NOW - 20 * 86400.0)
    decision = advance(rollout(progress=long_ago), fleet("committed", "committed", "silent", "silent"), NOW)
    assert decision.action == "wait", "they were there when it began; perhaps the release is why they are not"
    assert "2 of 4 devices have committed, wanted 95% (2 silent)" in decision.why[0]


def test_a_pause_or_a_new_wave_does_not_make_devices_that_fell_silent_old_ones():
    """Both set anew when the wave opened; when the rollout began stays."""
    opened = Progress(10, NOW - 8 * 86400.0, began=NOW - 20 * 86400.0)
    assert advance(rollout(progress=opened), fleet(*GOOD[:3], "silent"), NOW).action == "wait"
    onward = look(GOOD, progress=Progress(10, NOW - 60, began=NOW - 500)).progress
    assert (onward.opened, onward.began) == (NOW, NOW - 500)


def test_who_fell_silent_in_the_middle_is_not_tolerated_away():
    policy = Policy(soak=0, tolerated=1)
    assert look((*GOOD[:3], "underway"), policy).action == "wait"
    assert look((*GOOD[:3], "lost"), policy).action == "wait", "silence would have opened the gate"
    assert look((*GOOD[:3], "health"), policy).action == "open", "this one said what went wrong"


def test_a_wave_without_a_device_proves_nothing():
    late = Progress(10, NOW - 30 * 86400.0, began=NOW - 9 * 86400.0)
    for kinds in ((), ("silent",) * 4, ("refused",) * 4):
        decision = advance(rollout(progress=late), fleet(*kinds), NOW)
        assert decision.action == "wait", f"{kinds} opened the next wave"
        assert decision.why[0].startswith("0 devices of all open waves have committed")


def test_an_empty_later_wave_holds_nothing_up():
    waves = (plan().waves[0], Wave("lab", labels={"site": "lab"}), plan().waves[1])
    assert advance(rollout(waves=waves, open_waves=2), fleet(*GOOD), NOW).action == "open"


def test_all_waves_through_is_complete_where_they_are_all_devices():
    everyone = [*fleet(*GOOD), facts("z", "committed")]
    decision = advance(rollout(open_waves=2), everyone, NOW)
    assert (decision.action, decision.plan.state) == ("complete", "complete")


def test_waves_that_leave_devices_out_end_and_leave_them_alone():
    everyone = [*fleet(*GOOD), *(facts(f"e{number}") for number in range(12))]
    decision = advance(rollout(waves=plan().waves[:1]), everyone, NOW)
    assert (decision.action, decision.plan.state) == ("complete", "complete")
    covers = "the waves cover 4 of 16 devices (25.0%), the others stay as they are"
    assert decision.why == (f"all waves are through: {covers}",)
    after = advance(rollout(waves=plan().waves[:1], state="complete"), everyone, NOW)
    assert (after.action, after.why) == ("none", (f"the rollout is complete: {covers}",))
    assert not verdict(decision.plan, "e1", {}, RELEASE - 1, NOW).may, "it was in none of the waves"
    assert verdict(decision.plan, "d", {}, RELEASE - 1, NOW).may, "who belongs to a wave and comes late still may"


def test_what_devices_outside_of_all_waves_do_stops_nothing():
    everyone = [*fleet(*GOOD), *(facts(f"e{number}", "health") for number in range(12))]
    assert advance(rollout(waves=plan().waves[:1], state="complete"), everyone, NOW).action == "none"


def test_a_complete_rollout_still_stops_when_devices_fail():
    everyone = [*fleet(*GOOD), facts("z", "committed"), *(facts(f"n{n}", "health") for n in range(5))]
    assert advance(rollout(state="complete", open_waves=2), everyone, NOW).action == "stop"


def test_new_devices_belong_to_waves_by_the_same_draw():
    waves = (Wave("canary", percent=20.0), Wave("all", percent=100.0))
    through = [facts(f"d{number}", "committed") for number in range(50)]
    newcomer = next(name for name in map("n{}".format, range(99)) if plan_draw(waves, name) == 0)
    decision = advance(rollout(waves=waves), [*through, facts(newcomer)], NOW)
    assert decision.action == "wait"
    assert "not begun" in decision.why[0]


def plan_draw(waves, name):
    from toolchain.fleet.rollout.membership import wave_of

    return wave_of(plan(waves=waves), name, {})


@pytest.mark.parametrize(("reason", "where"), [("parity", "troubled"), ("trust", "waiting"), ("internal", "waiting")])
def test_what_went_wrong_in_an_older_rollout_counts_if_it_lasts(reason, where):
    device = facts("a", "parity", sequence=3, reason=reason)
    assert standing(plan(), 10, device, NOW - 60) == where, "a device tries again after passing troubles only"


def test_devices_and_engine_agree_on_which_troubles_last():
    assert LASTING == AGENTS_LASTING


def test_an_attempt_at_another_release_does_not_count():
    assert standing(plan(), 10, facts("a", "health", release=RELEASE - 1), NOW - 60) == "waiting"


@pytest.mark.parametrize(
    "wrong",
    [{"committed": 1.1}, {"errors": -0.1}, {"soak": -1.0}, {"least": 0}, {"silent": 0.0}, {"approvals": ("No!",)}],
    ids=lambda each: next(iter(each)),
)
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)) if "approvals" not in wrong else "wave"):
        Policy(**wrong)


def test_canaries_that_committed_and_vanished_open_nothing():
    kept = [facts(name, "committed", seen=NOW - 10 * 86400.0) for name in CANARIES]
    decision = advance(rollout(), kept, NOW)
    assert decision.action == "wait"
    assert "4 committed and fell silent" in decision.why[0] and "4 committed and fell silent" in decision.why[1]
    long_open = Progress(10, NOW - 2 * Policy().timeout, began=NOW - 2 * Policy().timeout)
    assert advance(rollout(progress=long_open), kept, NOW).action == "wait", "time alone must not open the gate"
    back = [*kept[:3], facts(CANARIES[3], "committed")]
    assert "1 of 4 devices have committed" in advance(rollout(progress=long_open), back, NOW).why[0]
    before = [facts(name, running=RELEASE, seen=NOW - 10 * 86400.0) for name in CANARIES]
    assert advance(rollout(), before, NOW).action == "wait", "whoever is silent proves nothing, whatever it runs"
