"""The decisions alone: no disk, no network, no clock."""

import ast
import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toolchain.fleet.agent.fleet_device import plan_of
from toolchain.fleet.agent import events as ev
from toolchain.fleet.agent import machine
from toolchain.fleet.agent.machine import MOST_STARTS, judge, step
from toolchain.fleet.agent.state import State, Trying
from toolchain.fleet.documents.release import Limit
from toolchain.fleet.documents.report import Attempt
from toolchain.fleet.documents.strict import from_bytes, to_bytes

WALL = 1.8e9
BASE = State("a", 1)


def planned(plan, **more):
    return ev.Planned(plan, "bell-1", {}, WALL, **more)


def walk(state, *happened):
    """The state and the actions of the last of these events."""
    actions = ()
    for event in happened:
        state, actions = step(state, event)
    return state, actions


FETCHED = ev.Fetched(False, (), 10, 100)
TO_SOAK = (
    planned(plan_of(2, soak=30.0)),
    FETCHED,
    ev.Matched(),
    ev.Measured({"latency_p50": 1.0}, 1.0),
    ev.Pointed(0.0),
)


def test_the_way_of_a_good_release():
    state, actions = step(BASE, ev.Due())
    assert actions == (ev.Refresh(),)
    state, actions = step(state, planned(plan_of(2, soak=30.0), floors={"sequence": 2}))
    assert actions == (ev.Fetch(2, "b"),) and state.floors == {"sequence": 2} and state.latest == WALL
    state, actions = step(state, ev.Fetched(True, (), 10, 100))
    assert actions == (ev.Build("b"),)
    state, actions = step(state, ev.Built())
    assert actions == (ev.Compare("b"),)
    state, actions = step(state, ev.Matched())
    assert actions == (ev.Measure("b", "a"),)
    state, actions = step(state, ev.Measured({"latency_p50": 0.002}, 0.001))
    assert actions == (ev.Point("b"),) and state.attempt.stage == "switching"
    state, actions = step(state, ev.Pointed(100.0))
    assert actions == (ev.Tell(), ev.Probe("b")) and state.running == 1, "nothing is committed before the soak is over"
    state, actions = step(state, ev.Probed(101.0))
    assert actions == (ev.Wait(10.0),)
    state, actions = walk(state, ev.Woken(), ev.Probed(125.0))
    assert actions == (ev.Wait(5.0),)
    state, actions = step(state, ev.Probed(130.0))
    assert actions == (ev.Commit("b"), ev.Tell())
    assert (state.slot, state.running, state.attempt.outcome, state.spare) == ("b", 2, "committed", "a")
    assert (state.before, state.after) == (0.001, 0.002)


def test_a_long_soak_is_reported_now_and_then():
    state, _ = walk(BASE, planned(plan_of(2, soak=900.0)), *TO_SOAK[1:])
    told = []
    for clock in range(10, 900, 10):
        state, actions = walk(state, ev.Woken(), ev.Probed(float(clock)))
        told += [clock] * (ev.Tell() in actions)
    assert told == list(range(60, 900, 60))


def test_an_ill_release_goes_back_and_is_not_tried_again():
    state, _ = walk(BASE, *TO_SOAK)
    state, actions = step(state, ev.Probed(5.0, "it is ill"))
    assert actions == (ev.Point("a"),) and state.attempt.stage == "rolling-back"
    state, actions = step(state, ev.Pointed(6.0))
    assert actions == (ev.Tell(),) and (state.slot, state.running) == ("a", 1)
    assert state.failed == {"2": "health"} and state.attempt.outcome == "rolled-back"
    state, actions = step(state, planned(plan_of(2, 9)))
    assert actions == (ev.Tell(),) and state.trying is None
    _, actions = step(state, planned(plan_of(3, 10)))
    assert actions == (ev.Fetch(3, "b"),)


@pytest.mark.parametrize("reason", machine.LASTING)
def test_lasting_reasons_last(reason):
    state, actions = walk(BASE, *TO_SOAK[:2], ev.Failed(reason, "d"))
    assert actions == (ev.Tell(),) and state.failed == {"2": reason} and state.attempt.outcome == "failed"


@pytest.mark.parametrize(("reason", "outcome"), [("depends", "refused"), ("trust", "refused"), ("files", "failed")])
def test_other_reasons_are_tried_again_with_the_next_plan(reason, outcome):
    state, _ = walk(BASE, *TO_SOAK[:1], ev.Failed(reason, "d"))
    assert (state.attempt.outcome, dict(state.failed)) == (outcome, {})
    assert step(state, planned(plan_of(2)))[1] == (ev.Fetch(2, "b"),)


def test_a_lost_connection_is_no_failure_of_the_release():
    state, _ = walk(BASE, *TO_SOAK[:1], ev.Failed("download", "cable", again=True))
    assert (state.attempt.outcome, state.attempt.stage, state.trying) == ("underway", "fetching", None)
    assert step(state, ev.Due())[1] == (ev.Refresh(),)
    state, actions = step(state, planned(plan_of(2, 3, state="aborted")))
    assert actions == (ev.Tell(),) and state.attempt.outcome == "failed", "the plan has changed: it is over"


@pytest.mark.parametrize(
    ("events", "pointed", "actions"),
    [
        (TO_SOAK[:1], "a", ()),
        (TO_SOAK[:2], "a", (ev.Compare("b"),)),
        (TO_SOAK[:2], "b", (ev.Point("a"), ev.Compare("b"))),
        (TO_SOAK[:4], "a", (ev.Point("b"),)),
        (TO_SOAK[:4], "b", (ev.Point("b"),)),
        (TO_SOAK, "b", (ev.Point("b"),)),
        (TO_SOAK, "a", (ev.Point("a"),)),
        ((*TO_SOAK, ev.Probed(1.0, "ill")), "b", (ev.Point("a"),)),
        ((), "b", (ev.Point("a"),)),
        ((), "a", ()),
    ],
    ids=[
        "fetching", "checking", "checking-astray", "before-switch", "after-switch", "soaking", "soaking-gone-back",
        "rolling-back", "idle-astray", "idle",
    ],
)  # fmt: skip
def test_what_a_start_goes_on_with(events, pointed, actions):
    state, _ = walk(BASE, *events)
    assert step(state, ev.Started(pointed))[1] == actions


def test_a_soak_begins_anew_after_a_start_and_three_starts_are_enough():
    state, _ = walk(BASE, *TO_SOAK)
    for _ in range(MOST_STARTS - 1):
        state, actions = walk(state, ev.Started("b"), ev.Pointed(1000.0), ev.Probed(1001.0))
        assert actions == (ev.Wait(10.0),)
    state, actions = step(state, ev.Started("b"))
    assert actions == (ev.Point("a"),) and state.attempt.reason == "crash"


def test_a_first_release_that_fails_goes_back_to_nothing():
    state, _ = walk(State(), *TO_SOAK)
    state, actions = step(state, ev.Probed(1.0, "ill"))
    assert actions == (ev.Point(""),)
    assert step(state, ev.Pointed(2.0))[0].running == 0


FAILED = ev.Failed("space", "cannot write current")


def test_a_switch_back_that_fails_is_told_and_given_up_after_some_starts():
    state, _ = walk(BASE, *TO_SOAK, ev.Started("b"), ev.Pointed(0.0), ev.Started("b"), ev.Pointed(0.0))
    state, _ = step(state, ev.Probed(1.0, "ill"))
    for start in range(MOST_STARTS):
        state, actions = step(state, FAILED)
        assert actions == (ev.Tell(),) and state.attempt.stage == "rolling-back", f"start {start}: nobody was told"
        state, actions = step(state, ev.Started("b"))
        assert actions == (ev.Point("a"),), f"start {start + 1}: it was given up too early"
    state, actions = step(state, FAILED)
    assert actions == (ev.Tell(),) and state.trying is None and state.failed == {"2": "health"}
    assert (state.attempt.outcome, state.attempt.detail) == ("rolled-back", "ill; the switch back failed")
    assert step(state, ev.Started("b"))[1] == (ev.Point("a"),), "the next start does not try any more"
    assert step(state, ev.Due())[1] == (ev.Refresh(),), "a release that is right would not be taken any more"


def test_a_device_that_is_ended_by_every_switch_back_does_not_go_back_for_ever():
    state, _ = walk(BASE, *TO_SOAK, ev.Probed(1.0, "x" * 1000))
    state, actions = walk(state, *[ev.Started("b")] * MOST_STARTS)
    assert actions == (ev.Point("a"),) and state.attempt.outcome == "underway"
    state, actions = step(state, ev.Started("b"))
    assert actions == (ev.Point("a"), ev.Tell()) and state.attempt.outcome == "rolled-back"
    assert state.attempt.detail.endswith("; the switch back failed") and state.trying is None
    state, _ = walk(BASE, *TO_SOAK, ev.Probed(1.0, "ill"), *[ev.Started("a")] * (MOST_STARTS + 1), ev.Pointed(0.0))
    assert state.attempt.detail == "ill", "it has gone back, whatever ended the agent then"


@given(st.floats(1e-6, 10), st.floats(1e-6, 10), st.floats(0, 2))
def test_slower_is_what_it_says(before, after, allowed):
    reason, _ = judge(Trying(2, "b", most_slower=allowed), {"latency_p50": after}, before)
    assert (reason == "slower") == (after > before * (1 + allowed))


def test_budgets_hold_only_what_was_measured():
    trying = Trying(2, "b", budget=(Limit("accuracy_drop", 0.0), Limit("peak_memory", 100.0)))
    assert judge(trying, {}, None) == ("", "")
    assert judge(trying, {"peak_memory": 100.0}, None) == ("", "")
    assert judge(trying, {"peak_memory": 101.0}, None)[0] == "budget"


EVENTS = st.one_of(
    st.builds(ev.Started, st.sampled_from(["", "a", "b"])),
    st.just(ev.Due()),
    st.builds(
        lambda release, state, soak: planned(plan_of(release, 9, state=state, soak=soak, most_slower=0.1)),
        st.integers(1, 6), st.sampled_from(["running", "paused", "aborted", "complete"]), st.sampled_from([0.0, 60.0]),
    ),
    st.builds(ev.Fetched, st.booleans(), st.just(()), st.just(1), st.just(2)),
    st.sampled_from([ev.Built(), ev.Matched(), ev.Woken()]),
    st.builds(lambda after: ev.Measured({"latency_p50": after}, 1.0), st.sampled_from([1.0, 2.0])),
    st.builds(ev.Pointed, st.floats(0, 100)),
    st.builds(ev.Probed, st.floats(0, 1000), st.sampled_from(["", "ill"])),
    st.builds(ev.Failed, st.sampled_from(["download", "parity", "trust", "space"]), st.just("d"), st.booleans()),
)  # fmt: skip


@given(st.lists(EVENTS, max_size=40))
def test_whatever_happens_in_whatever_order(happened):
    """Versions only grow, the running slot is never touched, commits come after soaks, every state can be kept."""
    state = BASE
    for event in happened:
        before = state
        state, actions = step(state, event)
        assert state.running >= before.running, "a device never goes to a smaller version"
        if state.running != before.running:
            assert isinstance(event, ev.Probed) and before.attempt.stage == "soaking" and not event.trouble
            assert state.running == before.trying.release
        for action in actions:
            if isinstance(action, (ev.Fetch, ev.Build, ev.Compare)):
                assert action.slot != state.slot, "the running slot must not be touched"
            if isinstance(action, ev.Point):
                assert action.slot == state.slot or state.attempt.stage == "switching"
        assert not (state.trying and str(state.trying.release) in state.failed)
        assert from_bytes(State, to_bytes(state)) == state


def test_events_that_do_not_belong_change_nothing():
    for event in (
        ev.Built(),
        ev.Matched(),
        ev.Woken(),
        FETCHED,
        ev.Pointed(1.0),
        ev.Probed(1.0),
        ev.Failed("files", ""),
    ):
        assert step(BASE, event) == (BASE, ())


def test_the_machine_imports_nothing_that_does_anything():
    tree = ast.parse(Path(machine.__file__).read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not names & {"os", "time", "pathlib", "socket", "subprocess", "random", "datetime", "io", "threading"}


def test_states_that_make_no_sense_are_refused():
    for wrong in ({"slot": "c"}, {"running": -1}, {"trying": Trying(1, "")}):
        with pytest.raises(ValueError, match=r"slots|negative"):
            dataclasses.replace(BASE, **wrong)
    assert BASE.attempt == Attempt()
