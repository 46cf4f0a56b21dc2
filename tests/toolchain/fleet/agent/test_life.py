"""The daemon's rounds: what it repeats, what does not end it, and how a device that is refused says so."""

import errno
import json
import os

import pytest

from profiles.errors import OutputError, RefusedError, VerificationError
from tests.toolchain.fleet.agent.fleet_device import contents, packed, plan_of, release_of, ship
from tests.toolchain.fleet.agent.fleet_worlds import CalmRuntime, live, world
from tests.toolchain.fleet.agent.test_power import running
from tests.toolchain.fleet.agent.test_program import enrolled, opened
from toolchain.fleet.agent import commands
from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.agent.keep import read_state
from toolchain.fleet.agent.perform import Agent
from toolchain.fleet.agent.protocols import CheckError
from toolchain.fleet.agent.slots import Slots
from toolchain.fleet.documents.report import Report


class OverError(Exception):
    """The test has seen enough rounds."""


@pytest.fixture
def daemon(device, monkeypatch):
    """Carries out the daemon's rounds, with an act after each, and ends it; gives what it said."""

    def go(*acts):
        said, left = [], list(acts)

        def pause(config, wish, trouble):
            if not left:
                raise OverError
            left.pop(0)()
            return 0.0

        monkeypatch.setattr(commands, "pause", pause)
        monkeypatch.setattr(commands, "say", said.append)
        with pytest.raises(OverError):
            commands.rounds(commands.read_config(device.config), Disk(), once=False)
        return said

    return go


def revoked(path, body):
    return 403, {"wanted": "the device 'bell-1' was revoked", "next_step": "ask"}


def well(path, body):
    return 200, {"schema": 1, "next": 60.0, "counter": 1}


def fails(*_):
    raise OutputError("cannot write current", seen="the disk does not want to")


def half(slots, slot, commit=Slots.commit):
    """As the slots of a board that is lost between the mark on the disk and its own."""
    commit(slots, slot)
    raise OutputError("the board has not kept its firmware yet", seen="it does not answer")


@pytest.mark.parametrize("once", [True, False])
def test_what_the_system_refuses_anywhere_does_not_end_the_daemon(mirror, device, first, daemon, monkeypatch, once):
    ship(mirror, 2)

    def refuse(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(os, "statvfs", refuse)
        if once:
            assert "free some space" in device.once(code=2)
        else:
            said = daemon(full.undo)
            assert any("cannot write" in each and "free some space" in each for each in said), said
            assert device.running() == 2, "the round after it did not go on"
    assert device.running() == (1 if once else 2)


def test_now_and_then_the_daemon_looks_at_all_that_a_start_looks_at(device, first, daemon, monkeypatch):
    daemon((device.folder / "current").unlink)
    assert device.running() == 0, "a day is not over yet"
    monkeypatch.setattr(commands, "_START_EVERY", -1.0)
    daemon()
    (device.folder / "slots/a/bundle/weights.bin").write_bytes(b"rust")
    daemon((device.folder / "current").unlink)
    assert device.running() == 1


def test_a_start_that_failed_is_repeated(device, first, web, daemon):
    (device.folder / "slots/a/bundle/weights.bin").write_bytes(b"rust")
    web.faults["blobs/"] = lambda handler, path: handler.send_error(500)
    said = daemon(web.faults.clear)
    assert any("is whole again" in each for each in said), said
    assert device.running() == 1


def test_a_commit_that_failed_is_told_and_repeated(mirror, device, web, daemon, monkeypatch):
    ship(mirror, 1)
    enrolled(device, web, monkeypatch)
    seen = {}

    def look():
        seen["status"] = device.call("status")[1]
        seen["told"] = opened(web.posted[-1][1], Report)[1].attempt

    with monkeypatch.context() as broken:
        broken.setattr(Slots, "commit", half)
        said = daemon(look, broken.undo)
    assert "not kept yet: the board has not kept its firmware yet" in seen["status"]
    assert seen["told"].outcome == "committed" and "not kept yet: the board" in seen["told"].detail
    assert any("has not kept its firmware" in each for each in said)
    assert device.state.unkept == "", "it was not made good"
    assert "not kept yet" not in device.call("status")[1]


def test_a_commit_that_fails_again_is_an_error_of_the_round(mirror, device, monkeypatch):
    ship(mirror, 1)
    monkeypatch.setattr(Slots, "commit", half)
    assert "has not kept its firmware" in device.once()
    assert "has not kept its firmware" in device.once(code=2), "nobody would see it"
    assert json.loads(device.call("status", "--json")[1])["unkept"]
    monkeypatch.undo()
    device.once()
    assert not device.state.unkept


@pytest.fixture
def refused(mirror, device, web, monkeypatch):
    """The device runs version 1, was revoked, and version 2 is there."""
    ship(mirror, 1)
    enrolled(device, web, monkeypatch)
    device.once()
    web.answers = revoked
    device.once(code=8)
    ship(mirror, 2)
    return device


def test_a_refused_device_whose_server_is_away_says_so(refused, web):
    web.answers = lambda path, body: (500, {})
    assert "the server refuses this device" in refused.once(code=8)
    assert "the server refuses this device" in refused.call("status")[1]
    assert refused.running() == 1
    web.answers = well
    refused.once()
    assert refused.running() == 2


def test_a_refused_device_that_started_before_its_network_asks_again(refused, web, daemon):
    """systemd does not start what ended with 8 again: only an answer may end the daemon, and not its absence."""
    web.answers = lambda path, body: (500, {})

    def take_back():
        web.answers = well

    said = daemon(take_back)
    assert sum("the server refuses this device" in each for each in said) == 1, said
    assert refused.running() == 2
    web.answers = revoked
    config = commands.read_config(refused.config)
    with pytest.raises(RefusedError, match="was revoked"):
        commands.rounds(config, Disk(), once=False)


def test_a_refused_device_that_the_server_has_forgotten_goes_on(refused, web):
    """As one that was never enrolled: what is published is public."""
    web.answers = lambda path, body: (401, {"wanted": "a device that is enrolled"})
    assert "a device that is enrolled" in refused.once()
    assert refused.running() == 2 and not refused.state.refused


@pytest.mark.parametrize("without", ["checkin", "key"])
def test_a_refused_device_that_asks_nobody_any_more_goes_on(refused, without):
    if without == "key":
        (refused.folder / "key.pem").unlink()
    else:
        refused.configure(checkin="")
    refused.once()
    assert refused.running() == 2 and not refused.state.refused


def test_a_disk_that_is_full_hides_no_refusal(tmp_path, prepared, monkeypatch):
    """The state that says so cannot be kept; the round ends with the refusal all the same."""
    agent = live(tmp_path / "device", prepared.folder)
    save = agent.world.keeper.save

    def full(state):
        if state.refused:
            raise OutputError("cannot write the state")
        save(state)

    def report(state):
        raise RefusedError("revoked")

    monkeypatch.setattr(agent.world.keeper, "save", full)
    object.__setattr__(agent.world, "report", report)
    with pytest.raises(RefusedError, match="revoked"):
        agent.round()
    assert agent.state.refused


def test_a_device_that_is_not_enrolled_says_so_once(device, first, web, daemon):
    device.configure(checkin=web.url)
    said = daemon(lambda: None, lambda: None)
    assert sum("is not enrolled" in each for each in said) == 1, said


def test_nothing_new_is_put_where_current_leads_while_it_cannot_be_led_back(tmp_path, prepared, monkeypatch):
    """``current`` leads to the spare slot: what is fetched there would run before it was checked."""
    folder, point = tmp_path / "device", Slots.point
    (folder / "current").unlink()
    (folder / "current").symlink_to("slots/b")
    monkeypatch.setattr(Slots, "point", fails)
    with pytest.raises(OutputError):
        live(folder, prepared.folder)
    assert not (folder / "slots/b").exists()
    agent = Agent(world(folder, prepared.folder))
    with pytest.raises(OutputError):
        agent.start()
    agent.round()
    assert not (folder / "slots/b").exists() and agent.is_unsettled and agent.state.running == 1
    monkeypatch.setattr(Slots, "point", point)
    agent.start()
    agent.round()
    assert running(folder) == 2


def test_a_switch_back_that_never_works_ends_and_a_new_release_is_taken_when_it_does(tmp_path, prepared, monkeypatch):
    folder, point = tmp_path / "device", Slots.point
    prepared.release(release_of(3, packed(prepared, contents(3, ill=True))))
    prepared.plan(plan_of(3))
    monkeypatch.setattr(Slots, "point", lambda slots, slot: fails() if slot == "a" else point(slots, slot))
    for _ in range(5):
        with pytest.raises((OutputError, VerificationError)):
            live(folder, prepared.folder)
    state = read_state(folder / "state.json")
    assert (state.attempt.outcome, state.trying) == ("rolled-back", None)
    assert state.attempt.detail.endswith("; the switch back failed") and state.failed == {"3": "health"}
    assert running(folder) == 3, "the disk did not let it go back"
    monkeypatch.setattr(Slots, "point", point)
    prepared.release(release_of(4, packed(prepared, contents(4))))
    prepared.plan(plan_of(4))
    live(folder, prepared.folder)
    assert running(folder) == 4


WORDS = "\x1b[2J\u202e" + "of the engine\n" * 200


@pytest.mark.parametrize("where", ["build", "golden", "latency", "health"])
def test_whatever_programs_say_can_be_kept_and_reported(tmp_path, prepared, where):
    class Talks(CalmRuntime):
        pass

    def said(self, folder):
        if where == "health":
            return WORDS
        raise CheckError("crash", WORDS)

    setattr(Talks, where, said)
    bundle = packed(prepared, contents(3), builds=where == "build")
    prepared.release(release_of(3, bundle))
    prepared.plan(plan_of(3))
    heard = []
    with pytest.raises(VerificationError):
        live(tmp_path / "device", prepared.folder, runtime=Talks(), said=heard)
    attempt = read_state(tmp_path / "device/state.json").attempt
    assert attempt.detail.startswith("[2J of the engine of the engine") and len(attempt.detail) <= 1000
    assert all(line.isprintable() for each in heard for line in each.split("\n")), heard


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_figures_that_are_no_numbers_are_the_releases_fault(tmp_path, prepared, value):
    class Odd(CalmRuntime):
        def latency(self, folder):
            return {"latency_p50": value if folder.name == "b" else 0.001}

    with pytest.raises(VerificationError, match="that is no measurement"):
        live(tmp_path / "device", prepared.folder, runtime=Odd())
    assert read_state(tmp_path / "device/state.json").failed == {"2": "crash"}


def test_figures_that_a_full_disk_does_not_take_are_not_the_releases_fault(tmp_path, prepared):
    class Full(CalmRuntime):
        def latency(self, folder):
            raise OutputError("cannot write figures.json")

    with pytest.raises(VerificationError, match="space"):
        live(tmp_path / "device", prepared.folder, runtime=Full())
    assert not read_state(tmp_path / "device/state.json").failed


def test_a_board_that_had_gone_back_from_the_running_release_is_kept_again(tmp_path, prepared, monkeypatch):
    """Where ``current`` had to be led back, it is committed at once, and not when the agent starts the next time."""
    folder = tmp_path / "device"
    live(folder, prepared.folder)
    kept, commit = [], Slots.commit
    monkeypatch.setattr(Slots, "commit", lambda slots, slot: (kept.append(slot), commit(slots, slot))[0])
    live(folder, prepared.folder)
    assert kept == []
    (folder / "current").unlink()
    live(folder, prepared.folder)
    assert kept == ["b"] and running(folder) == 2
