"""Rollouts move on, whatever ends the server, and with two servers at once. On both databases."""

import dataclasses
import logging
import threading
import time

import pytest

from profiles.errors import ConfigError, OutputError
from tests.toolchain.fleet.fleet_people import NOW, Person, Watch, attempt, enrol, take_up
from tests.toolchain.fleet.server.fleet_publishers import WAVES, Publisher
from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.rollout.engine import Decision
from toolchain.fleet.rollout.membership import wave_of
from toolchain.fleet.rollout.policy import Policy
from toolchain.fleet.server.mover import REFRESH, Mover
from toolchain.fleet.store import Store

PLAN = Plan("eyes", "stable", 1, 2, "running", "s", WAVES, 0)


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def people(store):
    return [enrol(store, Person(f"d{number}")) for number in range(20)]


def begun(store, **policy):
    store.begin(Policy(soak=0.0, **policy), PLAN, "", "me", NOW)
    return store.rollout("eyes", "stable")


def commit(store, people, plan, counter=1):
    """All devices of open waves commit."""
    for each in people:
        number = wave_of(plan, each.name, {})
        if number is not None and number < plan.open_waves:
            take_up(store, each, store.identity(each.name).counter + counter, running=2, attempt=attempt(2))


def test_a_rollout_goes_through(store, people, watch):
    begun(store)
    publisher = Publisher()
    mover = Mover(store, publisher, watch)
    for _ in range(6):
        mover.step()
        commit(store, people, publisher.plans[-1])
    assert [(each.open_waves, each.state) for each in publisher.plans] == [
        (0, "running"), (1, "running"), (2, "running"), (2, "complete"),
    ]  # fmt: skip
    assert publisher.sequences == [1, 2, 3, 4]
    assert store.rollout("eyes", "stable").published == 4


def test_a_bad_release_stops_at_the_canaries(store, people, watch):
    begun(store)
    publisher = Publisher()
    mover = Mover(store, publisher, watch)
    mover.step()
    canaries = [each for each in people if wave_of(PLAN, each.name, {}) == 0]
    assert canaries, "the salt draws some"
    for each in canaries:
        take_up(store, each, 1, running=1, attempt=attempt(2, "failed", reason="parity"))
    for _ in range(3):
        mover.step()
    assert (publisher.plans[-1].state, publisher.plans[-1].open_waves) == ("aborted", 1)
    assert [each.action for each in store.decisions(store.rollout("eyes", "stable"))] == ["stop", "open", "start"]


def test_a_crash_between_deciding_and_publishing_is_made_good(store, people, watch):
    kept = begun(store)
    publisher = Publisher()
    opened = dataclasses.replace(PLAN, sequence=2, open_waves=1)
    store.decide(kept, Decision("open", opened, kept.rollout.progress, ("x",)), NOW)  # and then the power failed
    Mover(store, publisher, watch).step()
    assert publisher.plans == [opened], "the plan that was decided is published, once, and nothing else"
    assert store.rollout("eyes", "stable").published == 2


def test_a_crash_between_publishing_and_noting_it_is_made_good(store, people, watch):
    begun(store)
    publisher = Publisher()
    publisher.fail = "after"
    with pytest.raises(KeyboardInterrupt):
        Mover(store, publisher, watch).step()
    publisher.fail = ""
    assert store.rollout("eyes", "stable").published == 0, "it was cut before it could note it"
    Mover(store, publisher, watch).step()
    assert publisher.sequences == [1, 2], "the first plan must not be published twice"
    assert store.rollout("eyes", "stable").published == 2


def test_a_repository_that_refuses_is_asked_again(store, people, watch):
    begun(store)
    publisher = Publisher()
    publisher.fail = "before"
    mover = Mover(store, publisher, watch)
    for _ in range(3):
        with pytest.raises(OutputError):
            mover.step()
    publisher.fail = ""
    mover.step()
    assert publisher.sequences == [1, 2]


def test_an_old_copy_of_the_database_does_not_go_on(store, people, watch):
    begun(store)
    publisher = Publisher()
    publisher.plans.append(dataclasses.replace(PLAN, sequence=7))
    with pytest.raises(ConfigError, match="does not know the newest plan"):
        Mover(store, publisher, watch).step()
    assert publisher.sequences == [7]


def test_a_rollout_that_cannot_be_moved_holds_up_neither_others_nor_signatures(store, people, watch):
    begun(store)
    store.begin(Policy(), dataclasses.replace(PLAN, channel="beta"), "", "me", NOW)
    publisher = Publisher()
    publisher.plans.append(dataclasses.replace(PLAN, channel="beta", sequence=7))
    with pytest.raises(ConfigError, match="on beta"):
        Mover(store, publisher, watch).step()
    assert publisher.plan("eyes", "stable").open_waves == 1
    assert publisher.refreshed == 1


def test_two_servers_on_one_database_publish_every_plan_once(database_url, watch):
    publisher = Publisher()  # asserts by itself that sequences grow
    with Store(database_url) as one, Store(database_url) as two:
        people = [enrol(one, Person(f"d{number}")) for number in range(10)]
        begun(one, errors=1.0)
        start, failed, end = threading.Barrier(2), [], time.monotonic() + 60

        def move(store):
            mover = Mover(store, publisher, watch)
            start.wait()
            try:
                while not (publisher.plans and publisher.plans[-1].state == "complete") and time.monotonic() < end:
                    mover.step()
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=move, args=(store,)) for store in (one, two)]
        for each in threads:
            each.start()
        while any(each.is_alive() for each in threads):
            if publisher.plans:
                commit(one, people, publisher.plans[-1])
        for each in threads:
            each.join()
    assert not failed, failed
    assert publisher.sequences == [1, 2, 3, 4]
    assert publisher.plans[-1].state == "complete"


def test_signatures_are_renewed_once_an_hour(store, watch):
    publisher = Publisher()
    mover = Mover(store, publisher, watch)
    for seconds in (0, 10, REFRESH - 20, 20):
        watch.now += seconds
        mover.step()
    assert publisher.refreshed == 2


def test_the_loop_goes_on_after_a_refusal_and_ends_when_told(store, people, watch, caplog):
    caplog.set_level(logging.WARNING, logger="edgewright.fleet.mover")  # whatever other tests left of logging
    begun(store)
    publisher, stop = Publisher(), threading.Event()
    publisher.fail = "before"
    runner = threading.Thread(target=Mover(store, publisher, watch).run, args=(stop, 0.01), daemon=True)
    runner.start()
    end = time.monotonic() + 30
    while "the disk is full" not in caplog.text:
        assert runner.is_alive() and time.monotonic() < end, "the refusal was not told"
        time.sleep(0.01)
    publisher.fail = ""
    while not publisher.plans:
        assert runner.is_alive() and time.monotonic() < end, "it did not try again"
        time.sleep(0.01)
    stop.set()
    runner.join(10)
    assert not runner.is_alive()


def test_signatures_are_renewed_when_rollouts_cannot_be_read(store, watch, monkeypatch):
    def refuse():
        raise OutputError("the plan is damaged")

    monkeypatch.setattr(store, "rollouts", refuse)
    publisher = Publisher()
    with pytest.raises(OutputError, match="damaged"):
        Mover(store, publisher, watch).step()
    assert publisher.refreshed == 1
