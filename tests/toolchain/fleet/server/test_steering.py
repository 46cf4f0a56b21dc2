"""What an operator does, and what it may not undo. On both databases."""

import dataclasses

import pytest

from profiles.errors import ConfigError
from tests.toolchain.fleet.fleet_people import NOW, Person, Watch, attempt, enrol, take_up
from tests.toolchain.fleet.server.fleet_publishers import Publisher
from toolchain.fleet.rollout.acts import Drawn
from toolchain.fleet.rollout.policy import Policy
from toolchain.fleet.server.mover import Mover
from toolchain.fleet.server.steering import Steering, Wish

WAVES = (Drawn("canary", count=2), Drawn("all", percent=100.0))


@pytest.fixture
def publisher():
    return Publisher()


@pytest.fixture
def steering(store, publisher):
    return Steering(store, publisher, Watch(), "ada")


@pytest.fixture
def people(store):
    return [enrol(store, Person(f"d{number}")) for number in range(5)]


def wish(**changes):
    return dataclasses.replace(Wish("eyes", "stable", 2, WAVES, Policy(soak=0.0)), **changes)


def test_start_publishes_a_plan_that_is_open_for_nobody_yet(steering, store, publisher, people):
    plan = steering.start(wish())
    assert publisher.plans == [plan]
    assert (plan.sequence, plan.open_waves, plan.state) == (1, 0, "running")
    assert len(plan.waves[0].devices) == 2
    assert store.rollout("eyes", "stable").published == 1


def test_every_rollout_draws_other_canaries(steering, people):
    salts = {steering.start(wish()).salt for _ in range(5)}
    assert len(salts) == 5


def test_sequences_go_on_where_the_repository_is(steering, publisher, people):
    first = steering.start(wish())
    publisher.plans.append(dataclasses.replace(first, sequence=40))
    assert steering.start(wish(release=3)).sequence == 41, "devices that follow 40 would not follow less"


def test_acts_are_published_and_logged(steering, store, publisher, people):
    steering.start(wish())
    for what in ("pause", "resume", "abort"):
        steering.act("eyes", "stable", what, "because")
    assert [each.state for each in publisher.plans] == ["running", "paused", "running", "aborted"]
    log = store.decisions(store.rollout("eyes", "stable"))
    assert [(each.action, each.who) for each in log] == [
        ("abort", "ada"), ("resume", "ada"), ("pause", "ada"), ("start", "ada"),
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="it is aborted"):
        steering.act("eyes", "stable", "resume")


def test_time_in_a_pause_does_not_count_as_waiting(store, publisher, people):
    watch = Watch()
    steering = Steering(store, publisher, watch, "ada")
    steering.start(wish())
    Mover(store, publisher, watch).step()
    steering.act("eyes", "stable", "pause")
    watch.now += 30 * 86400
    steering.act("eyes", "stable", "resume")
    progress = store.rollout("eyes", "stable").rollout.progress
    assert (progress.opened, progress.met) == (watch.now, None)


def test_a_wave_that_needs_an_approval_opens_after_it(steering, store, publisher, people):
    steering.start(wish(policy=Policy(soak=0.0, approvals=("canary",))))
    mover = Mover(store, publisher, Watch())
    assert [each.action for each in mover.step()] == ["wait"]
    with pytest.raises(ConfigError, match="nobody's approval"):
        steering.approve("eyes", "stable", "all")
    steering.approve("eyes", "stable", "canary")
    assert [each.action for each in mover.step()] == ["open"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"release": 9}, "has no version 9"),
        ({"policy": Policy(approvals=("nobody",))}, "not there"),
        ({"waves": (Drawn("canary", count=6),)}, "wants 6 devices"),
        ({"waves": ()}, "makes no sense"),
        ({"soak": -1.0}, "makes no sense"),
    ],
    ids=["release", "approval", "count", "no waves", "soak"],
)
def test_a_start_that_makes_no_sense_changes_nothing(steering, store, publisher, people, changes, words):
    with pytest.raises(ConfigError) as error:
        steering.start(wish(**changes), known=[1, 2])
    assert words in str(error.value)
    assert publisher.plans == []
    assert store.rollouts() == []


def test_there_must_be_a_rollout(steering, people):
    for what in (lambda: steering.act("eyes", "beta", "pause"), lambda: steering.explain("d1")):
        with pytest.raises(ConfigError, match="there is no rollout"):
            what()
    with pytest.raises(ConfigError, match="no device 'nobody'"):
        steering.explain("nobody")


def test_explain_follows_a_device(steering, store, publisher, people):
    plan = steering.start(wish())
    mover = Mover(store, publisher, Watch())
    mover.step()
    canary, other = plan.waves[0].devices[0], next(p.name for p in people if p.name not in plan.waves[0].devices)
    assert steering.explain(canary)[0] == "may install: wave 'canary' is open for version 2"
    assert steering.explain(other)[0] == "may not install: wave 'all' is not open yet"
    person = next(each for each in people if each.name == canary)
    take_up(store, person, 1, running=1, attempt=attempt(2, "rolled-back", reason="health"))
    assert "counts against the release: rolled-back because of health" in steering.explain(canary)[2]
    assert steering.explain(other)[-1].startswith("rollout, stop: 1 of 1 devices of wave 'canary'")
    store.revoke(canary, NOW)
    assert "revoked" in steering.explain(canary)[0]


def test_the_overview_counts_what_there_is(steering, store, publisher, people):
    plan = steering.start(wish())
    Mover(store, publisher, Watch()).step()
    by_name = {each.name: each for each in people}
    bad, good = (by_name[name] for name in plan.waves[0].devices)
    trouble = attempt(2, "rolled-back", reason="slower", detail="<b>slow</b>", fetched=10, full=100)
    take_up(store, bad, 1, NOW - 10, running=1, attempt=trouble, before=0.01, after=0.02)
    take_up(store, good, 1, NOW - 20, running=2, attempt=attempt(2, fetched=30, full=100), before=0.01, after=0.011)
    shown = store.overview(NOW)
    assert (shown.devices, shown.heard, shown.never, shown.versions) == (5, 2, 3, {"eyes": {0: 3, 1: 1, 2: 1}})
    (view,) = shown.rollouts
    assert (view.release, view.state, view.sequence, view.published) == (2, "running", 2, True)
    assert (view.fetched, view.full) == (40, 200)
    canary, rest = view.waves
    assert (canary.name, canary.who, canary.open, canary.devices) == ("canary", "2 devices", True, 2)
    assert (canary.committed, canary.troubled) == (1, 1)
    assert (rest.open, rest.devices, rest.waiting + rest.silent) == (False, 3, 3)
    assert view.latency.devices == 2
    assert view.latency.median_change == pytest.approx(0.55)
    (row,) = view.troubles
    assert (row.device, row.wave, row.outcome, row.reason, row.detail) == (
        bad.name, "canary", "rolled-back", "slower", "<b>slow</b>",
    )  # fmt: skip
    assert [each.device for each in view.outliers] == [bad.name]
    assert [each.action for each in view.decisions] == ["open", "start"]
    assert "rolled back" in view.next_step


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"waves": (Drawn("canary", count=9),)}, "wants 9 devices"),
        ({"most_slower": float("nan")}, "makes no sense"),
        ({"most_slower": -1.0}, "makes no sense"),
        ({"soak": -1.0}, "makes no sense"),
        ({"policy": Policy(approvals=("nobody",))}, "an approval is asked"),
        ({"release": 1}, "run a newer version than 1"),
    ],
    ids=["count", "nan", "negative", "soak", "approval", "older"],
)
def test_a_check_refuses_what_start_would_and_changes_nothing(steering, store, publisher, people, changes, says):
    for number, each in enumerate(people):
        take_up(store, each, number + 1, running=2)
    steering.check(wish())
    for does in (steering.check, steering.start):
        with pytest.raises(ConfigError, match=says):
            does(wish(**changes))
    assert store.rollout("eyes", "stable") is None and not publisher.plans


def test_a_plan_that_devices_could_not_read_is_refused(steering, store, publisher, people, monkeypatch):
    monkeypatch.setattr("toolchain.fleet.server.wishes.strict.MOST_BYTES", 1200)
    with pytest.raises(ConfigError, match="too large for devices") as caught:
        steering.start(wish())
    assert "percentage" in caught.value.next_step
    assert store.rollout("eyes", "stable") is None and not publisher.plans
