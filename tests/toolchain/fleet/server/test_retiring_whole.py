"""A real agent right after files of old releases went: it updates, by a delta, and mends what it runs."""

import time

import pytest

from tests.toolchain.fleet.agent.fleet_device import Device
from tests.toolchain.fleet.agent.fleet_web import Web
from tests.toolchain.fleet.agent.test_together import bundle_of, number_of
from tests.toolchain.fleet.fleet_homes import a_plan, make_fleet
from tests.toolchain.fleet.fleet_people import Person, attempt, enrol, take_up
from tests.toolchain.fleet.publish.fleet_pruning import a_day_later, has, keep_plans
from toolchain.fleet.publish import publish
from toolchain.fleet.server.retiring import prune
from toolchain.fleet.store import Store


@pytest.fixture
def fleet(tmp_path):
    return make_fleet(tmp_path / "home")


@pytest.fixture
def served(fleet):
    web = Web(fleet.home.repository)
    yield web
    web.close()


def test_an_agent_updates_and_mends_right_after_a_prune(fleet, served, tmp_path):
    device = Device(tmp_path / "device", served.url, fleet.home.root_metadata(), product="cam", measure_seconds=0.01)
    for number in (1, 2, 3, 4):
        publish(fleet.home, fleet, [bundle_of(tmp_path / str(number), number)], product="cam")
        if number in (1, 2):
            fleet.set_plan(a_plan(number, number, soak=0.0, most_slower=1000.0))
            device.once()
    assert number_of(device) == 2
    fleet.set_plan(a_plan(3, 4, soak=0.0, most_slower=1000.0, state="paused"))
    a_day_later(fleet)
    fleet.refresh()
    with Store(fleet.home.database_url) as store:
        keep_plans(store, fleet)
        person = enrol(store, Person("bell-1", product="cam"))
        take_up(store, person, 1, time.time(), running=2, attempt=attempt(2))
        assert prune(store, fleet, 0).files
    assert [has(fleet, version) for version in (1, 2, 3, 4)] == [False, True, False, True]

    slot = (device.folder / "current").resolve()
    (slot / "bundle" / "model.bin").write_bytes(b"a bad block")
    device.once()
    assert number_of(device) == 2, "what it runs is still there to mend it with"

    fleet.set_plan(a_plan(4, 4, soak=0.0, most_slower=1000.0))
    device.once()
    assert number_of(device) == 4
    assert device.state.attempt.fetched < 0.2 * device.state.attempt.full, "the delta from what it runs is there, too"
