"""What an abort, a stop and a pause mean for devices that have begun: the words, held against what the agent does."""

import dataclasses

import pytest

from tests.toolchain.fleet.rollout.fleet_rollouts import NOW, RELEASE, facts, plan, rollout
from toolchain.fleet.agent import events as ev
from toolchain.fleet.agent.machine import step
from toolchain.fleet.agent.state import State, Trying
from toolchain.fleet.documents.report import Attempt
from toolchain.fleet.rollout.engine import advance
from toolchain.fleet.rollout.explain import explain

NOT_CALLED_BACK = "it is not called back: it commits if it stays healthy for its soak of 60 s, else it goes back"
GIVES_UP = "it gives up when it looks at the plan next"
KEEPS = "it keeps what it has committed: only 'edgewright fleet rollback' brings an older release"
SOAKING = {"kind": "underway", "stage": "soaking"}


def told(state, **changes):
    device = facts("a", **changes)
    return explain(rollout(state=state), [device], device, NOW)[2]


@pytest.mark.parametrize("state", ["aborted", "paused"])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (SOAKING, NOT_CALLED_BACK),
        ({"kind": "underway"}, NOT_CALLED_BACK),
        ({"kind": "held-up"}, GIVES_UP),
        ({"kind": "committed"}, KEEPS),
    ],
    ids=["soaking", "checking", "fetching", "committed"],
)
def test_explain_says_what_a_stop_means_for_a_device(state, changes, words):
    assert words in told(state, **changes)
    assert words not in told("running", **changes), "nothing was stopped"


@pytest.mark.parametrize("kind", ["waiting", "health", "refused"])
def test_a_device_that_has_not_begun_or_is_through_needs_no_such_words(kind):
    assert not any(words in told("aborted", kind=kind) for words in (NOT_CALLED_BACK, GIVES_UP, KEEPS))


def test_the_rollout_says_how_many_are_not_called_back():
    fleet = [facts("a", **SOAKING), facts("b", "underway"), facts("c", "committed"), facts("d")]
    for state in ("aborted", "paused"):
        words = advance(rollout(state=state), fleet, NOW).why
        assert words[0] == f"the rollout is {state}"
        assert words[1].startswith("2 of the devices have begun and are not called back")
    assert advance(rollout(state="aborted"), fleet[2:], NOW).why == ("the rollout is aborted",)


def soaking():
    attempt = Attempt(RELEASE, 10, "soaking", "underway")
    return State("a", RELEASE - 1, Trying(RELEASE, "b", soak=60.0, since=0.0), attempt)


def test_an_agent_that_soaks_looks_at_no_plan_and_ends_by_itself():
    assert step(soaking(), ev.Due()) == (soaking(), ()), "it would look at the plan, so the words are wrong"
    after, actions = step(soaking(), ev.Probed(60.0))
    assert (after.running, actions) == (RELEASE, (ev.Commit("b"), ev.Tell()))
    after, actions = step(soaking(), ev.Probed(30.0, "it is ill"))
    assert (after.attempt.stage, actions) == ("rolling-back", (ev.Point("a"),))


def test_an_agent_that_waits_for_another_try_gives_up_when_it_sees_the_stop():
    waits = State("a", RELEASE - 1, None, Attempt(RELEASE, 10, "fetching", "underway", "download"))
    assert step(waits, ev.Due()) == (waits, (ev.Refresh(),))
    stopped = plan(state="aborted", sequence=11)
    after, actions = step(waits, ev.Planned(stopped, "a", {}, NOW))
    assert (after.attempt.outcome, after.trying, actions) == ("failed", None, (ev.Tell(),))
    open_still = dataclasses.replace(stopped, state="running")
    assert step(waits, ev.Planned(open_still, "a", {}, NOW))[1] == (ev.Fetch(RELEASE, "b"),)
