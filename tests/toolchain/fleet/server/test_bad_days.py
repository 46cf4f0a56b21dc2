"""What an operator does wrong, or too late, and what is said to that. On both databases."""

import dataclasses

import pytest

from profiles.errors import ConfigError, OutputError
from tests.toolchain.fleet.fleet_people import NOW, Person, Watch, attempt, enrol, take_up
from tests.toolchain.fleet.server.fleet_publishers import Publisher
from tests.toolchain.fleet.store.test_store import read_only
from toolchain.cli.commands.fleet.state import operator
from toolchain.fleet.rollout.acts import Drawn
from toolchain.fleet.rollout.policy import Policy
from toolchain.fleet.server.mover import Mover
from toolchain.fleet.server.steering import Steering, Wish
from toolchain.fleet.store import Store

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


@pytest.mark.parametrize(("product", "channel"), [("eyed", "stable"), ("eyes", "stabel"), ("", "")])
def test_a_wrong_name_changes_nothing_and_the_right_ones_are_named(steering, publisher, people, product, channel):
    steering.start(wish())
    for what in ("pause", "resume", "abort"):
        with pytest.raises(ConfigError, match="there is no rollout of") as caught:
            steering.act(product, channel, what)
        assert caught.value.seen == "rollouts of eyes/stable" and "--channel" in caught.value.next_step
    with pytest.raises(ConfigError, match="there is no rollout of"):
        steering.approve(product, channel, "all")
    assert len(publisher.plans) == 1


def test_a_second_rollout_on_a_channel_replaces_the_first_and_says_so(steering, store, publisher, people):
    first = steering.start(wish())
    Mover(store, publisher, Watch()).step()
    said = "it replaces the rollout of version 2, which was running with 1 of 2 waves open"
    assert steering.remarks(wish(release=3)) == (said,)
    second = steering.start(wish(release=3))
    assert second.sequence == first.sequence + 2, "devices follow the larger number"
    assert [each.rollout.plan.release for each in store.rollouts()] == [3], "a channel has one rollout"
    assert store.decisions(store.rollout("eyes", "stable"))[0].why == f"version 3; {said}"
    steering.act("eyes", "stable", "abort")
    assert steering.remarks(wish(release=4)) == (), "what was stopped already is nothing to be warned of"


def test_a_rollout_for_nobody_and_one_that_leaves_devices_out_are_said(steering, people):
    assert steering.remarks(wish(channel="stabel")) == ("no device of eyes is on the channel stabel so far",)
    (said,) = steering.remarks(wish(waves=(Drawn("some", percent=50.0),)))
    assert "in none of the waves stay as they are" in said


def test_what_ended_is_not_approved(steering, store, publisher, people):
    asked = Policy(soak=0.0, approvals=("canary", "all"))
    steering.start(wish(policy=asked))
    steering.approve("eyes", "stable", "canary")
    Mover(store, publisher, Watch()).step()
    with pytest.raises(ConfigError, match="'canary' is open already"):
        steering.approve("eyes", "stable", "canary")
    with pytest.raises(ConfigError, match="nobody's approval") as caught:
        steering.approve("eyes", "stable", "al")
    assert caught.value.next_step == "did you mean 'all'?"
    steering.act("eyes", "stable", "abort")
    with pytest.raises(ConfigError, match="does not open any more") as caught:
        steering.approve("eyes", "stable", "all")
    assert caught.value.seen == "the rollout is aborted"
    log = store.decisions(store.rollout("eyes", "stable"))
    assert [each.action for each in log].count("approve") == 1, "what is refused is not in the log"


def test_an_approval_is_of_one_rollout(steering, store, publisher, people):
    asked = Policy(soak=0.0, approvals=("canary",))
    steering.start(wish(policy=asked))
    steering.approve("eyes", "stable", "canary")
    steering.start(wish(policy=asked, release=3))
    assert [each.action for each in Mover(store, publisher, Watch()).step()] == ["wait"], "nobody approved version 3"


def test_the_log_names_the_account_and_not_what_the_environment_says(monkeypatch):
    real = operator()
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "mallory")
    assert operator() == real != "mallory"


def test_an_abort_says_how_many_devices_finish_by_themselves(steering, store, publisher, people):
    plan = steering.start(wish())
    Mover(store, publisher, Watch()).step()
    assert steering.not_called_back("eyes", "stable") == (), "it was not stopped"
    canary = next(each for each in people if each.name in plan.waves[0].devices)
    take_up(store, canary, 1, NOW, attempt=attempt(2, "underway", "soaking", sequence=2))
    steering.act("eyes", "stable", "abort")
    (said,) = steering.not_called_back("eyes", "stable")
    assert said.startswith("1 of the devices have begun and are not called back")
    assert "it is not called back" in steering.explain(canary.name)[2]
    take_up(store, canary, 2, NOW, running=2, attempt=attempt(2, sequence=2))
    assert "it keeps what it has committed" in steering.explain(canary.name)[2]
    assert steering.not_called_back("eyes", "stable") == ()


def test_a_server_that_is_started_again_goes_on_in_the_middle(database_url, publisher):
    """Everything that a rollout is made of is in the database: soaks, waves, approvals, when it began."""
    watch, asked = Watch(), Policy(soak=100.0, approvals=("all",))
    with Store(database_url) as store:
        people = [enrol(store, Person(f"d{number}")) for number in range(3)]
        Steering(store, publisher, watch, "ada").start(wish(policy=asked))
        Mover(store, publisher, watch).step()
        for each in people:
            take_up(store, each, 1, watch.now, running=2, attempt=attempt(2, sequence=2))
        Mover(store, publisher, watch).step()
    watch.now += 60
    with Store(database_url) as store:
        (decision,) = Mover(store, publisher, watch).step()
        assert decision.why == ("wave 'canary' has met its gate and is watched for another 40 s",)
        assert store.rollout("eyes", "stable").rollout.progress.began == NOW
        Steering(store, publisher, watch, "ada").approve("eyes", "stable", "all")
    watch.now += 41
    with Store(database_url) as store:
        assert [each.action for each in Mover(store, publisher, watch).step()] == ["open"]
    assert publisher.sequences == [1, 2, 3]


def test_a_database_that_became_read_only_moves_nothing_and_renews_signatures(tmp_path, publisher):
    watch = Watch()
    with Store(f"sqlite:///{tmp_path / 'fleet.db'}") as store:
        steering = Steering(store, publisher, watch, "ada")
        steering.start(wish(waves=WAVES[1:]))
        read_only(store)
        mover = Mover(store, publisher, watch)
        for _ in range(2):
            with pytest.raises(OutputError, match="cannot be written"):
                mover.step()
        with pytest.raises(OutputError, match="cannot be written"):
            steering.act("eyes", "stable", "abort")
        assert publisher.sequences == [1], "a plan that is not kept is not published"
        assert publisher.refreshed == 1, "devices must not refuse the repository because of it"
